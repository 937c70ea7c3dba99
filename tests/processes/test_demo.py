"""``gateway demo``, alone and with a gateway in front."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.instance import GATEWAY, eventually, fetch_json, is_alive

FREE = ("--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--status", "127.0.0.1:0")


@contextlib.contextmanager
def running(log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*GATEWAY, "demo", *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(15)


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [found for child in map(int, text.split()) for found in (child, *children(child))]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_services_alone(tmp_path: Path, number: signal.Signals) -> None:
    log = tmp_path / "log"
    with running(log) as process:
        eventually(lambda: "vod " in log.read_text(), "all addresses")
        addresses = dict(line.split() for line in log.read_text().splitlines())
        assert len(addresses) == 6
        host, _, port = addresses["content"].removeprefix("http://").partition(":")
        courses = fetch_json((host, int(port)), "/courses")
        assert len(courses["courses"]) == 2
        pids = children(process.pid)
        assert len(pids) == 6
        process.send_signal(number)
        assert process.wait(15) == 0
    assert not any(is_alive(pid) for pid in pids)


def test_the_lines_that_it_prints_work(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running(log, "--with-gateway", "--workers", "1", *FREE) as process:
        eventually(lambda: "/prices" in log.read_text(), "the lines to try", deadline_s=30)
        lines = [line for line in log.read_text().splitlines() if line.startswith("  curl")]
        assert len(lines) == 3
        answers = [
            subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=20).stdout
            for line in lines
        ]
        assert "200 OK" in answers[0]
        assert "x-correlation-id" in answers[0].lower()
        assert "200 OK" in answers[1]
        assert "x-user-id" in answers[1], "the service knows who is calling"
        assert answers[2].split() == ["200"] * 5 + ["429"] * 2
        url = lines[0].split()[2].removesuffix("/content/courses")
        stream = ["curl", "-sN", f"{url}/live-classes/classes/1/events"]
        events = subprocess.run(stream, capture_output=True, text=True, timeout=20).stdout
        assert events.count("event: attendance") == 5
        refused = subprocess.run(["curl", "-s", f"{url}/identity/echo"], capture_output=True)
        assert b"authentication_required" in refused.stdout
        pids = children(process.pid)
        assert len(pids) == 6 + 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    assert not any(is_alive(pid) for pid in pids)


def test_killing_it_leaves_nothing_behind(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with running(log, "--with-gateway", "--workers", "1", *FREE) as process:
        eventually(lambda: "/prices" in log.read_text(), "the lines to try", deadline_s=30)
        pids = children(process.pid)
        process.kill()
        process.wait(15)
        eventually(lambda: not any(is_alive(pid) for pid in pids), "everything has ended")
