"""Files of this user alone, written as a whole or not at all."""

import os
import stat
from pathlib import Path

__all__ = ["read_private", "write_private"]


def read_private(path: Path) -> bytes:
    """The content of a file that nobody else could have written.

    FileNotFoundError if there is none; OSError if it cannot be read, or is a link; PermissionError
    for what is no file, for a file of another user, and for one that others may write to.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(f"{path} is not a file of this user; remove it")
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(f"{path} can be written by others; remove it")
        return file.read()


def write_private(path: Path, content: bytes) -> None:
    """Replace the file. Whoever reads finds the old content or the new one. OSError.

    No fsync: rename orders data before name on ext4, xfs and btrfs, and no loop here may wait for a
    disk.
    """
    fresh = path.with_name(f"{path.name}.new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
    fresh.rename(path)
