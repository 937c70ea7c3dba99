"""A real Redis on a free port, without persistence, that a test may stop, freeze or kill."""

import contextlib
import signal
import socket
import subprocess
import time
from pathlib import Path

START_TIMEOUT_S = 10.0


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class RedisServer:
    """One ``redis-server``. It keeps its port over a restart, and loses its data."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._directory = directory
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly"]
        settings += ["no", "--dir", str(self._directory), "--loglevel", "warning", *self._options]
        with (self._directory / f"redis-{self.port}.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["redis-server", *settings], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            assert self._process.poll() is None, "redis-server ended; see its log"
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.01)

    def _answers(self) -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 1.0) as link,
        ):
            link.sendall(b"PING\r\n")
            return link.recv(16).startswith((b"+PONG", b"-NOAUTH"))
        return False

    def freeze(self) -> None:
        """It keeps its connections and answers nothing (SIGSTOP)."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on after ``freeze``."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """It dies at once, as with ``kill -9``; ``start`` brings another one to the same port."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_TIMEOUT_S)
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    close = kill
