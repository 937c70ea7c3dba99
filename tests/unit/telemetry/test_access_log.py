"""The sink of the access log."""

import fcntl
import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.telemetry.access_log import AccessLog, open_access_log

PIPE_SIZE = 64 * 1024
"""Bytes that a pipe of Linux holds by default."""


def until(look: Callable[[], object]) -> None:
    end = time.monotonic() + 5
    while not look():
        assert time.monotonic() < end
        time.sleep(0.005)


class Drops:
    def __init__(self) -> None:
        self.lines = 0

    def __call__(self, lines: int) -> None:
        self.lines += lines


@pytest.fixture
def drops() -> Drops:
    return Drops()


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A named pipe and its reading end."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reading
    os.close(reading)


def read_available(fd: int) -> bytes:
    data = b""
    while select.select([fd], [], [], 0.2)[0]:
        piece = os.read(fd, 1 << 20)
        if not piece:
            break
        data += piece
    return data


def test_lines_arrive_in_order(tmp_path: Path, drops: Drops) -> None:
    file = tmp_path / "access.log"
    sink = AccessLog(str(file), drops)
    for number in range(1000):
        sink(b"%d\n" % number)
    sink.close()
    assert file.read_bytes() == b"".join(b"%d\n" % number for number in range(1000))
    assert drops.lines == 0
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_reader_that_does_not_read_costs_lines_and_never_time(
    pipe: tuple[Path, int], drops: Drops
) -> None:
    path, reading = pipe
    line = b"x" * 999 + b"\n"
    sink = AccessLog(str(path), drops, queue_limit=100 * 1000)
    began = time.monotonic()
    for _ in range(1000):
        sink(line)
    assert time.monotonic() - began < 5
    assert drops.lines >= 1000 - 100 - PIPE_SIZE // 1000 - 1
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(read_available(reading)))
    reader.start()
    reader.join()
    sink.close()
    assert received[0].count(b"\n") + drops.lines == 1000
    assert set(received[0].splitlines()) == {line.rstrip()}


def test_what_cannot_be_written_before_the_end_counts_as_dropped(
    pipe: tuple[Path, int], drops: Drops
) -> None:
    path, _ = pipe
    sink = AccessLog(str(path), drops)
    sink(b"x" * PIPE_SIZE)
    until(lambda: not sink._queue)  # written: the pipe is full
    for _ in range(5):
        sink(b"a\nb\n")
    sink.close(timeout_s=0.05)
    assert drops.lines == 10


def test_a_reader_that_goes_away_costs_lines_only(tmp_path: Path, drops: Drops) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink = AccessLog(str(path), drops)
    os.close(reading)
    sink(b"1\n2\n")
    until(lambda: drops.lines == 2)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink(b"3\n")
    until(lambda: read_available(reading) == b"3\n")
    sink.close()
    os.close(reading)


def test_pieces_for_a_pipe_are_whole_lines_that_cannot_mix(
    pipe: tuple[Path, int], drops: Drops
) -> None:
    path, reading = pipe
    sinks = [AccessLog(str(path), drops) for _ in range(4)]
    for number, sink in enumerate(sinks):
        sink((b"%d" % number * 150 + b"\n") * 1000)
    data = b""
    while data.count(b"\n") < 4000:
        data += read_available(reading)
    assert {bytes(line) for line in data.splitlines()} == {b"%d" % n * 150 for n in range(4)}
    for sink in sinks:
        sink.close()


def test_a_line_longer_than_a_piece_is_kept_whole(pipe: tuple[Path, int], drops: Drops) -> None:
    path, reading = pipe
    sink = AccessLog(str(path), drops)
    long = b"y" * (select.PIPE_BUF * 3) + b"\n"
    sink(b"a\n" + long + b"b\n")
    sink.close()
    assert read_available(reading) == b"a\n" + long + b"b\n"


def test_a_pipe_that_somebody_made_non_blocking_is_waited_for(
    pipe: tuple[Path, int], drops: Drops
) -> None:
    path, reading = pipe
    sink = AccessLog(str(path), drops)
    flags = fcntl.fcntl(sink._fd, fcntl.F_GETFL)
    fcntl.fcntl(sink._fd, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    sink(b"z\n" * PIPE_SIZE)
    data = b""
    while len(data) < 2 * PIPE_SIZE:
        data += read_available(reading)
    sink.close()
    assert drops.lines == 0


def test_reopen_lets_go_of_a_rotated_file(tmp_path: Path, drops: Drops) -> None:
    file = tmp_path / "access.log"
    sink = AccessLog(str(file), drops)
    sink(b"old\n")
    until(lambda: file.read_bytes())
    rotated = file.rename(tmp_path / "access.log.1")
    sink.reopen()
    until(file.exists)
    sink(b"new\n")
    sink.close()
    assert (rotated.read_bytes(), file.read_bytes()) == (b"old\n", b"new\n")


def test_a_reopen_that_fails_keeps_the_old_file(tmp_path: Path, drops: Drops) -> None:
    directory = tmp_path / "logs"
    directory.mkdir()
    file = directory / "access.log"
    sink = AccessLog(str(file), drops)
    moved = directory.rename(tmp_path / "moved")
    sink.reopen()
    sink(b"line\n")
    sink.close()
    assert (moved / "access.log").read_bytes() == b"line\n"


def test_off_is_no_sink(drops: Drops) -> None:
    assert open_access_log("off", drops) is None


def test_a_file_that_cannot_be_opened_is_an_error(tmp_path: Path, drops: Drops) -> None:
    with pytest.raises(FileNotFoundError):
        open_access_log(str(tmp_path / "none/access.log"), drops)
