"""The directory of a running instance: lock and pid, control socket, last good Plan."""

import fcntl
import os
import stat
from pathlib import Path

from gateway.private_file import write_private
from gateway.supervisor.errors import StartError

__all__ = ["CONTROL_SOCKET", "RunDir"]

CONTROL_SOCKET = "control.sock"
PID_FILE = "gateway.pid"
PLAN_FILE = "plan.json"


class RunDir:
    """Owns the directory for as long as the instance runs: one instance per directory."""

    def __init__(self, path: Path) -> None:
        """Create it if missing and take its lock. StartError if another instance has it."""
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_owner(path)
            self._lock = os.open(path / PID_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StartError(
                f"server.run_dir: cannot use {path}: {error.strerror}. Choose a directory that "
                "this user can write to with --set server.run_dir=DIR."
            ) from error
        self._take_lock()

    @property
    def control_socket(self) -> Path:
        """Where ``gateway reload`` and the other verbs talk to the supervisor."""
        return self.path / CONTROL_SOCKET

    def save_plan(self, plan: bytes) -> None:
        """Keep the last good Plan. OSError if it cannot be written.

        For people and their tools: it is what every worker runs. Workers are restarted from memory,
        and a start compiles the file anew, with the rows of the store as they were last seen
        (``gateway.control.snapshot``).
        """
        write_private(self.path / PLAN_FILE, plan)

    def close(self) -> None:
        """Let go of the lock, as far as this process holds it."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def clear(self) -> None:
        """At the end of the instance: nothing here points to a process any more."""
        os.ftruncate(self._lock, 0)
        self.close()

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(self._lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            self.close()
            raise StartError(
                f"another gateway (pid {pid}) runs with run_dir {self.path}. Stop it with "
                "`gateway stop`, apply a changed configuration with `gateway reload`, or give "
                "this one a directory of its own with --set server.run_dir=DIR."
            ) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)


def _check_owner(path: Path) -> None:
    """In a shared place such as /tmp somebody else could have been here before us.

    A link of our own or of root's is the administrator's choice. Another's could lead to any
    directory of ours, and there we would write.
    """
    link = path.lstat()
    if stat.S_ISLNK(link.st_mode) and link.st_uid not in (0, os.geteuid()):
        raise PermissionError(0, f"it is a link of another user (uid {link.st_uid})")
    directory = path.stat()
    if directory.st_uid != os.geteuid():
        raise PermissionError(0, f"it belongs to another user (uid {directory.st_uid})")
    if directory.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(0, f"others may write to it; if they should not: chmod go-w {path}")
