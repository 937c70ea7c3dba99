"""A data plane in plain asyncio with the interface of the compiled one, for faults on demand.

``python -m tests.processes.standin -c FILE`` is ``gateway run`` on this data plane. It answers
``GET /`` with its generation, ``/slow/SECONDS`` late, and does not come back from ``/hang``.
"""

import asyncio
import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from gateway.control.publish import ConfigSource
from gateway.supervisor import start
from gateway.worker import Authenticate

DIE_AT_START = "STANDIN_DIES"
"""Environment: a file; while it exists, every new worker dies at once."""
REJECT = "STANDIN_REJECTS"
"""Environment: a file; while it exists, plans are rejected."""


class StandInWorker:
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        segment: Any,
        slot: int,
        plan: bytes,
        access_log: Callable[[bytes], None] | None,
        authenticate: Authenticate,
    ) -> None:
        if (flag := os.environ.get(DIE_AT_START)) and Path(flag).exists():
            os._exit(9)
        self.loop, self.segment, self.slot, self.access_log = loop, segment, slot, access_log
        self.open: set[_Connection] = set()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.exchanges = 0
        self.draining = False
        self.generation = 0
        self.install(plan)

    @property
    def connections(self) -> int:
        return len(self.open)

    def share_limits(self, store: Any) -> None:
        """It limits nothing."""

    def take_refused(self) -> list[tuple[str, str, int]]:
        """It refuses nobody."""
        return []

    def limit_store_is(self, away: bool, whole: bool, hosts: int) -> None:
        """It limits nothing."""

    def start(self) -> None:
        self.segment.beat(self.slot, time.monotonic_ns() // 1_000_000)
        self.loop.call_later(0.1, self.start)

    def listen(self, listening: socket.socket) -> None:
        self.listening = listening
        self.loop.add_reader(listening, self.accept)

    def accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self.listening.accept()
                accepting = self.loop.connect_accepted_socket(lambda: _Connection(self), connection)
                self.tasks.add(task := self.loop.create_task(accepting))
                task.add_done_callback(self.tasks.discard)

    def stop_listening(self) -> None:
        self.accept()
        self.loop.remove_reader(self.listening)

    def install(self, plan: bytes) -> None:
        if (flag := os.environ.get(REJECT)) and Path(flag).exists():
            raise ValueError("no such thing")
        self.generation = json.loads(plan)["generation"]

    def forget_credentials(self) -> None:
        """It knows none."""

    def take_usage(self) -> list[tuple[str, str, int]]:
        return []

    def drain(self) -> None:
        self.draining = True
        for connection in list(self.open):
            connection.close_if_idle()

    def close(self) -> None:
        for connection in list(self.open):
            connection.transport.abort()


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, worker: StandInWorker) -> None:
        self.worker = worker
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.worker.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.worker.open.discard(self)
        if self.busy:
            self.worker.exchanges -= 1

    def data_received(self, data: bytes) -> None:
        path = data.split(b" ", 2)[1].decode()
        self.busy = True
        self.worker.exchanges += 1
        if path == "/hang":
            time.sleep(3600)
        delay = float(path.removeprefix("/slow/")) if path.startswith("/slow/") else 0.0
        self.worker.loop.call_later(delay, self.answer, path)

    def answer(self, path: str) -> None:
        body = json.dumps({"generation": self.worker.generation, "pid": os.getpid()}).encode()
        self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        self.worker.exchanges -= 1
        self.busy = False
        if self.worker.access_log is not None:
            self.worker.access_log(json.dumps({"path": path}).encode() + b"\n")
        if self.worker.draining:
            self.transport.close()

    def close_if_idle(self) -> None:
        if not self.busy:
            self.transport.close()


if __name__ == "__main__":
    file = Path(sys.argv[sys.argv.index("-c") + 1])
    sys.exit(start.run(start.Options(ConfigSource(file), "--watch" in sys.argv), StandInWorker))
