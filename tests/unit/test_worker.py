"""The frame of a worker process, on a thread of this one."""

import mmap
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import worker
from gateway._core import Segment
from gateway.channel import Decoder, Message, encode
from gateway.config.state import State
from gateway.telemetry.log import name_process
from gateway.worker import WorkerTask
from tests.processes.standin import REJECT, StandInWorker

PLAN = '{"generation": %d}'


class Frame:
    """A worker, and the supervisor's end of its channel."""

    def __init__(self, access_log: str) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.address = self.listener.getsockname()
        self.channel, theirs = socket.socketpair()
        self.channel.settimeout(10)
        theirs.setblocking(False)
        self.decoder = Decoder()
        self.received: list[Message] = []
        self.code: int | None = None
        memory = mmap.mmap(-1, Segment.size_for(1))
        segment = Segment(memory, 1, create=True)
        plan = (PLAN % 1).encode()
        self.task = WorkerTask(
            0,
            self.listener,
            theirs,
            segment,
            plan,
            access_log,
            State(),
            Path("/nowhere"),
            StandInWorker,
        )
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        self.code = worker.run(self.task)

    def send(self, **message: Any) -> None:
        self.channel.sendall(encode(message))

    def wait_for(self, kind: str) -> Message:
        while not (found := [m for m in self.received if m["type"] == kind]):
            self.received.extend(self.decoder.feed(self.channel.recv(65536)))
        self.received.remove(found[0])
        return found[0]

    def request(self, path: str) -> bytes:
        with socket.create_connection(self.address, timeout=10) as sock:
            sock.sendall(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            return sock.recv(65536)

    def end(self) -> None:
        self.channel.close()
        self.thread.join(10)
        self.listener.close()
        name_process("gateway")


@pytest.fixture
def frame(tmp_path: Path) -> Iterator[Frame]:
    made = Frame(str(tmp_path / "access.log"))
    assert made.wait_for("ready") == {"type": "ready", "generation": 1}
    yield made
    made.end()


def test_it_serves_and_reports_its_load(frame: Frame) -> None:
    assert frame.request("/").startswith(b"HTTP/1.1 200")
    with socket.create_connection(frame.address):
        while frame.wait_for("report")["connections"] != 1:
            pass


def test_it_installs_a_plan_and_says_so(frame: Frame) -> None:
    frame.send(type="plan", generation=2, plan=PLAN % 2)
    assert frame.wait_for("installed")["generation"] == 2
    assert b'"generation": 2' in frame.request("/")


def test_it_says_why_a_plan_is_rejected(
    frame: Frame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag = tmp_path / "reject"
    flag.touch()
    monkeypatch.setenv(REJECT, str(flag))
    frame.send(type="plan", generation=2, plan=PLAN % 2)
    assert frame.wait_for("rejected")["reason"] == "no such thing"


def test_a_drain_lets_requests_finish(frame: Frame) -> None:
    with socket.create_connection(frame.address, timeout=10) as sock:
        sock.sendall(b"GET /slow/2 HTTP/1.1\r\nhost: a\r\n\r\n")
        while frame.wait_for("report")["exchanges"] != 1:
            pass
        frame.send(type="drain", timeout_s=10)
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
    frame.thread.join(10)
    assert frame.code == 0


def test_a_drain_ends_at_its_timeout(frame: Frame) -> None:
    with socket.create_connection(frame.address, timeout=10) as sock:
        sock.sendall(b"GET /slow/60 HTTP/1.1\r\nhost: a\r\n\r\n")
        while frame.wait_for("report")["exchanges"] != 1:
            pass
        frame.send(type="drain", timeout_s=0.1)
        frame.thread.join(10)
        assert frame.code == 0


def test_it_leaves_when_it_is_told_or_the_supervisor_is_gone(frame: Frame, tmp_path: Path) -> None:
    frame.channel.close()
    frame.thread.join(10)
    assert frame.code == 0
    other = Frame("off")
    other.wait_for("ready")
    other.send(type="exit")
    other.thread.join(10)
    assert other.code == 0
    other.end()


def test_it_reopens_its_log(frame: Frame, tmp_path: Path) -> None:
    frame.request("/one")
    log = tmp_path / "access.log"
    deadline = time.monotonic() + 10
    while "/one" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.01)  # the writer is a thread of its own
    old = log.rename(tmp_path / "access.log.1")
    frame.send(type="reopen_logs")
    frame.send(type="plan", generation=3, plan=PLAN % 3)
    frame.wait_for("installed")  # so the message before it has been handled
    frame.request("/two")
    frame.send(type="exit")
    frame.thread.join(10)
    assert "/one" in old.read_text()
    assert "/two" in log.read_text()
