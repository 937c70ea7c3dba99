"""uvicorn on a socket that the supervisor has bound."""

import asyncio
import contextlib
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from gateway.control.bounded_http import BoundedHttp
from gateway.listener import BACKLOG, Listener

__all__ = ["serve"]


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signals: the supervisor does, and tells this process over the channel."""
        yield


async def serve(app: ASGIApp, listener: Listener) -> None:
    """Serve until cancelled; then finish the running requests, for a second."""
    config = uvicorn.Config(
        app,
        http=BoundedHttp,
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=list(listener.sockets)))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving
