"""The access log's sink: takes whole lines from the event loop, writes them from a thread.

The loop never waits for a disk or a slow reader of the pipe. When the queue is full, lines are
dropped and counted, because a gateway that stalls on its log is worse than one with a gap in it.
"""

import logging
import os
import select
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["QUEUE_LIMIT", "AccessLog", "check_access_log", "open_access_log"]

QUEUE_LIMIT = 8 * 1024 * 1024
"""Bytes. About 20,000 lines of 400 bytes: half a second of log at full speed on one worker."""

PIPE_ATOMIC = select.PIPE_BUF
"""Bytes. POSIX: a write to a pipe up to this length never mixes with another process's write."""

_STANDARD_STREAMS = {"stdout": 1, "stderr": 2}

log = logging.getLogger(__name__)


def open_access_log(target: str, on_drop: Callable[[int], None]) -> "AccessLog | None":
    """Open ``stdout``, ``stderr`` or a path; ``off`` gives None. OSError if it cannot be opened."""
    return None if target == "off" else AccessLog(target, on_drop)


def check_access_log(target: str) -> None:
    """OSError if the file cannot be opened for writing."""
    if target != "off" and target not in _STANDARD_STREAMS:
        os.close(_open(Path(target)))


class AccessLog:
    """A bounded queue of bytes and the daemon thread that writes them.

    Call the object with whole lines, each ended by a newline. ``on_drop`` gets the number of lines
    that were lost, from either thread.
    """

    def __init__(
        self, target: str, on_drop: Callable[[int], None], queue_limit: int = QUEUE_LIMIT
    ) -> None:
        self._path = None if target in _STANDARD_STREAMS else Path(target)
        self._fd = _STANDARD_STREAMS[target] if self._path is None else _open(self._path)
        self._atomic = _is_pipe(self._fd)
        self._on_drop = on_drop
        self._queue_limit = queue_limit
        self._queue: deque[bytes] = deque()
        self._queued = 0  # bytes, those that are being written included
        self._changed = threading.Condition()
        self._reopen = False
        self._closing = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def __call__(self, lines: bytes) -> None:
        """Queue whole lines; drops them if the queue is full. Never waits for the writer."""
        with self._changed:
            if self._queued + len(lines) <= self._queue_limit:
                self._queue.append(lines)
                self._queued += len(lines)
                self._changed.notify()
                return
        self._on_drop(lines.count(b"\n"))

    def reopen(self) -> None:
        """Open the path anew before the next write, so that a rotated file is let go."""
        with self._changed:
            self._reopen = True
            self._changed.notify()

    def close(self, timeout_s: float = 1.0) -> None:
        """Write what is queued, for at most ``timeout_s``; the rest counts as dropped."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_s)
        with self._changed:
            left = sum(lines.count(b"\n") for lines in self._queue)
            self._queue.clear()
        if left:
            self._on_drop(left)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._reopen or self._closing)
                lines = self._queue[0] if self._queue else b""
                reopen, self._reopen = self._reopen, False
                if not lines and self._closing:
                    return
            if reopen and self._path is not None:
                self._reopen_path(self._path)
            self._write(lines)
            with self._changed:
                if lines and self._queue:  # not given up by `close` meanwhile
                    self._queued -= len(self._queue.popleft())

    def _write(self, lines: bytes) -> None:
        for piece in _pieces(lines, PIPE_ATOMIC) if self._atomic else (lines,):
            try:
                _write_all(self._fd, piece)
            except OSError as error:
                self._on_drop(piece.count(b"\n"))
                if not self._failing:
                    log.error("access log: cannot write to %s: %s", self._path or self._fd, error)
                self._failing = True
            else:
                self._failing = False

    def _reopen_path(self, path: Path) -> None:
        try:
            fresh = _open(path)
        except OSError as error:
            log.error("access log: cannot reopen %s, keeping the old file: %s", path, error)
            return
        os.close(self._fd)
        self._fd = fresh
        self._atomic = _is_pipe(fresh)


def _open(path: Path) -> int:
    # O_APPEND: workers share the file, and each write lands whole at its end.
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


def _is_pipe(fd: int) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(fd).st_mode)
    except OSError:
        return False


def _pieces(lines: bytes, limit: int) -> Iterator[bytes]:
    """Cut at newlines into pieces of at most ``limit`` bytes; a longer line is its own piece."""
    start = 0
    while start < len(lines):
        end = lines.rfind(b"\n", start, start + limit) + 1
        if end == 0:
            end = lines.find(b"\n", start) + 1 or len(lines)
        yield lines[start:end]
        start = end


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:  # whoever shares this stdout has made it non-blocking
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            poll.poll()
