"""A worker under test: in a thread of the test process, or in a process of its own."""

import asyncio
import contextlib
import json
import mmap
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import orjson
import uvloop

from gateway._core import Segment
from gateway.cext.worker import Worker
from tests.servers.client import Client
from tests.servers.plans import Plan, with_labels

Result = TypeVar("Result")
ROOT = Path(__file__).parents[2]
BACKLOG = 4096
START_TIMEOUT_S = 10.0


def listening_socket() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    listener.setblocking(False)
    return listener


def new_segment(workers: int = 1) -> Segment:
    return Segment(mmap.mmap(-1, Segment.size_for(workers)), workers, True)


class GatewayThread:
    """A worker on a uvloop loop in a thread. Exceptions in its loop fail the test on close()."""

    def __init__(
        self, plan: Plan, access_log: bool = True, slot: int = 0, authenticator: Any = None
    ) -> None:
        self.segment = new_segment()
        self.faults: list[str] = []
        self.log = bytearray()
        self._loop = uvloop.new_event_loop()
        self._loop.set_exception_handler(self._record_fault)
        self._socket = listening_socket()
        self.address: tuple[str, int] = self._socket.getsockname()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway", daemon=True)
        self._thread.start()
        sink = self.log.extend if access_log else None
        self.worker = self.run(
            lambda: Worker(self._loop, self.segment, slot, self.compile(plan), sink, authenticator)
        )
        self.run(self.worker.start)
        self.run(lambda: self.worker.listen(self._socket))

    def compile(self, plan: Plan) -> bytes:
        return orjson.dumps(with_labels(plan, self.segment))

    def run(self, function: Callable[[], Result]) -> Result:
        """Runs a function in the worker's thread: nothing of a worker is safe from another one."""

        async def call() -> Result:
            return function()

        return self._await(call())

    def _await(self, awaitable: Any) -> Any:
        async def call() -> Any:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(START_TIMEOUT_S)

    def install(self, plan: Plan) -> None:
        compiled = self.compile(plan)
        self.run(lambda: self.worker.install(compiled))

    def limit_buffers(self, send: int | None = None, receive: int | None = None) -> None:
        """Fixes the kernel's buffers, in bytes, of connections that are accepted from now on."""
        for option, size in ((socket.SO_SNDBUF, send), (socket.SO_RCVBUF, receive)):
            if size is not None:
                self._socket.setsockopt(socket.SOL_SOCKET, option, size)

    def connect(self, **options: Any) -> Client:
        return Client(self.address, **options)

    @property
    def connections(self) -> int:
        return self.run(lambda: self.worker.connections)

    @property
    def exchanges(self) -> int:
        return self.run(lambda: self.worker.exchanges)

    def log_entries(self, count: int, within_s: float = 8.0) -> list[dict[str, Any]]:
        """The access log, once it has ``count`` lines or the time is up."""
        deadline = time.monotonic() + within_s
        while self.log.count(b"\n") < count and time.monotonic() < deadline:
            time.sleep(0.01)
        return [json.loads(line) for line in bytes(self.log).splitlines()]

    def close(self) -> None:
        self.run(self.worker.close)
        self.run(lambda: None)  # one more turn: connection_lost of what was aborted
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_TIMEOUT_S)
        self._loop.close()
        self._socket.close()
        assert not self.faults, "exceptions in the worker's loop:\n" + "\n".join(self.faults)

    def _record_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.faults.append(f"{context.get('message')}: {context.get('exception')!r}")


class GatewayProcess:
    """A worker in its own process: to weigh it, to trace it, to kill it."""

    def __init__(self, plan: Plan) -> None:
        ours, theirs = socket.socketpair()
        listener = listening_socket()
        self.address: tuple[str, int] = listener.getsockname()
        fds = (listener.fileno(), theirs.fileno())
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.worker_main", *map(str, fds)],
            pass_fds=fds,
            cwd=ROOT,
        )
        listener.close()
        theirs.close()
        ours.settimeout(START_TIMEOUT_S)
        self._control = ours.makefile("rwb")
        ours.close()
        self.ask("install", plan=plan)

    @property
    def pid(self) -> int:
        return self.process.pid

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        self._control.write(orjson.dumps({"command": command, **arguments}) + b"\n")
        self._control.flush()
        line = self._control.readline()
        assert line, f"the worker process died at {command!r}: {self.process.wait(START_TIMEOUT_S)}"
        answer = json.loads(line)
        assert "fault" not in answer, answer["fault"]
        return answer

    def connect(self, **options: Any) -> Client:
        return Client(self.address, **options)

    def resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._control.close()  # the worker ends when its control channel does
        try:
            status = self.process.wait(START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        assert status == 0, f"the worker process ended with {status}"
