"""System calls of a proxied request: two receives, two sends, and as good as no epoll_ctl."""

import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

REQUESTS = 400
RECEIVES = {"read", "readv", "recvfrom", "recvmsg"}
SENDS = {"write", "writev", "sendto", "sendmsg"}
LINE = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)$", re.MULTILINE)
# Heartbeats, timers and strace's own attaching are not a request's.
TOLERANCE = 0.05


class Strace:
    """Counts the system calls of a running process until ``stop``."""

    def __init__(self, pid: int, output: Path) -> None:
        self._output = output
        command = ["strace", "-c", "-f", "-o", str(output), "-p", str(pid)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        first = self._process.stderr.readline()
        if "attached" not in first:
            self._process.wait(5.0)
            self._process.stderr.close()
            pytest.skip(f"strace may not trace here (ptrace): {first.strip()}")

    def stop(self) -> dict[str, int]:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(5.0)
        assert self._process.stderr is not None
        self._process.stderr.close()
        return {name: int(calls) for calls, name in LINE.findall(self._output.read_text())}


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_two_receives_and_two_sends(gateway_process: Any, echo: Any, tmp_path: Path) -> None:
    running = gateway_process(to=echo)
    with running.connect() as client:
        for _ in range(50):
            assert client.get().status == 200
        strace = Strace(running.pid, tmp_path / "calls")
        time.sleep(0.1)
        for _ in range(REQUESTS):
            assert client.get().status == 200
        calls = strace.stop()
    per_request = {name: count / REQUESTS for name, count in calls.items()}
    receives = sum(per_request.get(name, 0) for name in RECEIVES)
    sends = sum(per_request.get(name, 0) for name in SENDS)
    assert 2 - TOLERANCE <= receives <= 2 + 2 * TOLERANCE, per_request
    assert 2 - TOLERANCE <= sends <= 2 + 2 * TOLERANCE, per_request
    assert per_request.get("epoll_ctl", 0) <= TOLERANCE, per_request
    # Two events, each through the loop's epoll and the poller's; under load a pair serves many.
    waits = per_request.get("epoll_pwait", 0) + per_request.get("epoll_wait", 0)
    assert waits <= 4.2, per_request
