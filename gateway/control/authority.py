"""What workers ask this process about credentials: see ``gateway.identity.authority``."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from gateway.channel import ChannelProtocol, Message
from gateway.control.unix_socket import bind_unix
from gateway.identity.authority import KeyRecord
from gateway.identity.trust import Trust

__all__ = ["AuthorityServer"]

FORGET_S = 1.0
"""Between two calls to forget: each makes every worker verify every credential again."""

CLOSE_S = 0.01
"""A few turns of the loop, in which what was closed reports its end."""

log = logging.getLogger(__name__)


class AuthorityServer:
    """One line to each worker."""

    def __init__(
        self,
        path: Path,
        *,
        trust: Callable[[], Trust],
        api_key: Callable[[str], Awaitable[KeyRecord | None]],
        refresh: Callable[[str], Awaitable[None]],
        reports: Mapping[str, Callable[[list[list[Any]]], None]],
    ) -> None:
        """``api_key`` and ``refresh`` may raise if they cannot know.

        ``reports``: what takes the rows of each kind of report (``gateway.identity.authority``).
        """
        self._path = path
        self._trust = trust
        self._api_key = api_key
        self._refresh = refresh
        self._reports = reports
        self._lines: set[_Line] = set()
        self._asked: set[asyncio.Task[None]] = set()
        self._forgetting: asyncio.TimerHandle | None = None
        self._forgot = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(lambda: _Line(self), sock=bind_unix(self._path))
        try:
            await loop.create_future()
        finally:
            server.close()
            for task in self._asked:
                task.cancel()
            for line in list(self._lines):
                line.close()
            await asyncio.sleep(CLOSE_S)

    def trust_changed(self) -> None:
        """Tell all workers what counts now."""
        message = {"type": "trust", **self._trust().to_message()}
        for line in self._lines:
            line.send(message)

    def forget(self) -> None:
        """Something about API keys or users has changed; tell all workers, not too often."""
        if self._forgetting is None:
            loop = asyncio.get_running_loop()
            due = max(self._forgot + FORGET_S, loop.time())
            self._forgetting = loop.call_at(due, self._forget_now)

    def _forget_now(self) -> None:
        self._forgetting = None
        self._forgot = asyncio.get_running_loop().time()
        for line in self._lines:
            line.send({"type": "forget"})

    def connected(self, line: "_Line") -> None:
        """A worker is there."""
        self._lines.add(line)
        line.send({"type": "trust", **self._trust().to_message()})

    def lost(self, line: "_Line") -> None:
        """A worker is gone."""
        self._lines.discard(line)

    def asked(self, line: "_Line", message: Message) -> None:
        """A worker's question, or its report."""
        report = self._reports.get(message["type"])
        if report is not None:
            report(message["rows"])
            return
        task = asyncio.get_running_loop().create_task(self._answer(line, message))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    async def _answer(self, line: "_Line", message: Message) -> None:
        answer: Message = {"type": "answer", "id": message["id"], "known": True}
        try:
            if message["type"] == "refresh":
                await self._refresh(message["issuer"])
            else:
                record = await self._api_key(message["key"])
                answer["record"] = None if record is None else record.to_message()
        except Exception as error:  # the worker refuses with 503, and does not remember it
            log.warning("a question of a worker has no answer: %s", error)
            answer["known"] = False
        line.send(answer)


class _Line(ChannelProtocol):
    def __init__(self, server: AuthorityServer) -> None:
        super().__init__(
            on_message=lambda message: server.asked(self, message),
            on_lost=lambda: server.lost(self),
        )
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say at once whom to trust."""
        super().connection_made(transport)
        self._server.connected(self)
