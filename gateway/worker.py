"""A worker process: accepts connections on its own socket and runs the data plane on them.

The data plane is compiled (``gateway.cext.worker``). This file is its frame: the event loop, the
channel to the supervisor, and the orderly end.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import uvloop

from gateway.channel import ChannelProtocol, Message
from gateway.config.state import State
from gateway.counted import counted
from gateway.identity.authenticator import Authenticator
from gateway.limits.connect import connect_limits
from gateway.telemetry import log as application_log
from gateway.telemetry.access_log import AccessLog, open_access_log

if TYPE_CHECKING:
    from gateway._core import Segment
    from gateway.limits.store import LimitStore

__all__ = ["DataPlane", "WorkerFactory", "WorkerTask", "run"]

REPORT_S = 1.0
"""Between two reports of load to the supervisor: `gateway status` is at most this old."""
DRAIN_POLL_S = 0.05
"""How soon the end of the last exchange is seen."""
CLOSE_S = 0.01
"""A few turns of the loop."""

log = logging.getLogger(__name__)


class DataPlane(Protocol):
    """``gateway.cext.worker.Worker``, as this file uses it."""

    @property
    def connections(self) -> int: ...
    @property
    def exchanges(self) -> int: ...
    @property
    def generation(self) -> int: ...
    def start(self) -> None: ...
    def listen(self, listening: socket.socket) -> None: ...
    def stop_listening(self) -> None: ...
    def install(self, plan: bytes) -> None: ...
    def share_limits(self, store: Any) -> None: ...
    def limit_store_is(self, away: bool, whole: bool, hosts: int) -> None: ...
    def forget_credentials(self) -> None: ...
    def take_usage(self) -> list[tuple[str, str, int]]: ...
    def take_refused(self) -> list[tuple[str, str, int]]: ...
    def drain(self) -> None: ...
    def close(self) -> None: ...


Authenticate = Callable[[Literal["jwt", "api_key"], bytes, str, str | None], Awaitable[Any]]
WorkerFactory = Callable[
    [asyncio.AbstractEventLoop, Any, int, bytes, Callable[[bytes], None] | None, Authenticate],
    DataPlane,
]
"""Makes the data plane from: loop, segment, slot, Plan, sink of the access log, authenticator."""


@dataclass(frozen=True)
class WorkerTask:
    """What a worker process is given at its fork."""

    slot: int
    listener: socket.socket
    channel: socket.socket
    segment: "Segment"
    plan: bytes
    access_log: str
    """``server.log.access``."""
    state: State
    """Where the limits are that all hosts share."""
    run_dir: Path
    """Where the control process listens."""
    make_worker: WorkerFactory


def run(task: WorkerTask) -> int:
    """Serve until the supervisor says otherwise; returns the exit code."""
    application_log.name_process(f"worker {task.slot}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Process(task).serve())


class _Process:
    """The worker while it lives: data plane, server, channel."""

    def __init__(self, task: WorkerTask) -> None:
        self._task = task
        self._access_log: AccessLog | None = None
        self._worker: DataPlane
        self._authenticator = Authenticator(
            task.run_dir, on_change=lambda: self._worker.forget_credentials()
        )
        self._draining = asyncio.Event()
        self._limits: LimitStore | None = None
        self._drain_timeout_s = 0.0
        self._leaving = asyncio.Event()
        self._channel = ChannelProtocol(self._on_message, self._leaving.set)

    async def serve(self) -> int:
        """From the first connection to the last."""
        task = self._task
        loop = asyncio.get_running_loop()
        self._access_log = open_access_log(
            task.access_log,
            lambda lines: task.segment.add(task.slot, "access_log_dropped_total", lines),
        )
        self._worker = task.make_worker(
            loop, task.segment, task.slot, task.plan, self._access_log,
            self._authenticator.authenticate,
        )  # fmt: skip
        self._worker.start()
        self._authenticator.start()
        self._limits = connect_limits(task.state, task.segment, self)
        if self._limits is not None:
            self._worker.share_limits(self._limits)
            self._limits.start()
        await loop.create_unix_connection(lambda: self._channel, sock=task.channel)
        self._worker.listen(task.listener)
        self._channel.send({"type": "ready", "generation": self._worker.generation})
        reports = loop.create_task(self._report())
        await self._until_told()
        if not self._leaving.is_set():
            # First: what the kernel has completed already would be reset, and may hold a request.
            self._worker.stop_listening()
            self._worker.drain()
            await self._finish()
        reports.cancel()
        if self._limits is not None:
            await self._limits.close()
        self._worker.close()
        await self._authenticator.close()
        task.listener.close()
        await asyncio.sleep(CLOSE_S)  # lets what was closed or aborted report its end
        self._worker.close()  # … and what that wrote reach the log
        if self._access_log is not None:
            self._access_log.close()
        self._channel.close()
        return 0

    def limit_store_is(self, away: bool, whole: bool, hosts: int) -> None:
        """What the store of the limits has found out about itself."""
        self._worker.limit_store_is(away, whole, hosts)

    def add(self, counter: str, delta: int) -> None:
        """Raise a counter of this worker."""
        self._task.segment.add(self._task.slot, counter, delta)

    async def _until_told(self) -> None:
        waits = [asyncio.ensure_future(e.wait()) for e in (self._draining, self._leaving)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _finish(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._drain_timeout_s
        while self._worker.connections and loop.time() < deadline and not self._leaving.is_set():
            await asyncio.sleep(DRAIN_POLL_S)
        if self._worker.exchanges:
            running = counted(self._worker.exchanges, "request")
            log.warning("cut off at the end of the drain: %s", running)

    async def _report(self) -> None:
        last: tuple[int, int] | None = None
        while True:
            load = (self._worker.connections, self._worker.exchanges)
            if load != last:
                self._channel.send({"type": "report", "connections": load[0], "exchanges": load[1]})
                last = load
            self._authenticator.report("usage", self._worker.take_usage())
            self._authenticator.report("refused", self._worker.take_refused())
            await asyncio.sleep(REPORT_S)

    def _on_message(self, message: Message) -> None:
        match message["type"]:
            case "plan":
                self._install(message["generation"], message["plan"].encode())
            case "drain":
                self._drain_timeout_s = message["timeout_s"]
                self._draining.set()
            case "reopen_logs":
                if self._access_log is not None:
                    self._access_log.reopen()
            case "exit":
                self._leaving.set()

    def _install(self, generation: int, plan: bytes) -> None:
        try:
            self._worker.install(plan)
        except ValueError as error:
            reason = str(error)
            self._channel.send({"type": "rejected", "generation": generation, "reason": reason})
        else:
            self._channel.send({"type": "installed", "generation": generation})
