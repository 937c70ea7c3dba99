"""What this host has heard of as revoked, in a file: a start forgets nothing of it.

The store knows all of it, too. The file is for the start at which store and Redis are away. Each
revocation is a line; from time to time the file is written anew with those that still matter.
"""

import errno
import logging
import os
from pathlib import Path
from typing import get_args

import orjson

from gateway.private_file import read_private, write_private
from gateway.state.interface import Revocation, RevocationKind

__all__ = ["DENY_LIST_FILE", "DenyList"]

DENY_LIST_FILE = "revoked.jsonl"
"""In ``server.run_dir``."""
SPARE_LINES = 1000
"""The file is written anew when it has these beside twice as many as were in force last time."""
KINDS: dict[str, RevocationKind] = {kind: kind for kind in get_args(RevocationKind)}

log = logging.getLogger(__name__)


class DenyList:
    """The revocations in force, by what they are about."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[tuple[RevocationKind, str], Revocation] = {}
        self._lines = 0
        self._lines_allowed = SPARE_LINES
        self._failed = False

    def read(self, now_s: int) -> list[Revocation]:
        """Those of the last time that are still in force; a line cut off by a crash is left out."""
        try:
            content = read_private(self._path)
        except FileNotFoundError:
            return []
        except OSError as error:
            log.error("the revocations in %s cannot be used: %s", self._path, error)
            return []
        for line in content.splitlines():
            revocation = _revocation(line)
            if revocation is not None and revocation.until_s > now_s:
                self._known[revocation.kind, revocation.name] = revocation
        self._rewrite(now_s)  # what comes next must not be written behind half a line
        return list(self._known.values())

    def add(self, revocation: Revocation, now_s: int) -> None:
        """Keep it, unless it says nothing new."""
        place = (revocation.kind, revocation.name)
        before = self._known.get(place)
        if before is not None and before.before_s >= revocation.before_s:
            return
        self._known[place] = revocation
        if self._failed or self._lines >= self._lines_allowed:
            self._rewrite(now_s)  # the file lacks what could not be kept
        else:
            self._append(_line(revocation))

    def _append(self, line: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            fd = os.open(self._path, flags, 0o600)
            try:
                _write_whole(fd, line)
            finally:
                os.close(fd)
            self._lines += 1
        except OSError as error:
            self._tell(error)

    def _rewrite(self, now_s: int) -> None:
        self._known = {p: r for p, r in self._known.items() if r.until_s > now_s}
        try:
            write_private(self._path, b"".join(map(_line, self._known.values())))
            self._lines = len(self._known)
            self._lines_allowed = 2 * self._lines + SPARE_LINES
            self._failed = False
        except OSError as error:
            self._tell(error)

    def _tell(self, error: OSError) -> None:
        if not self._failed:
            self._failed = True  # once: a full disk stays full for many logouts
            log.error("cannot keep revocations for the next start: %s", error)


def _write_whole(fd: int, line: bytes) -> None:
    """All of it or nothing: a disk that fills up takes a part (write(2))."""
    written = os.write(fd, line)
    if written < len(line):
        os.ftruncate(fd, os.fstat(fd).st_size - written)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _line(revocation: Revocation) -> bytes:
    fields = (revocation.kind, revocation.name, revocation.before_s, revocation.until_s)
    return orjson.dumps(fields) + b"\n"


def _revocation(line: bytes) -> Revocation | None:
    try:
        kind, name, before_s, until_s = orjson.loads(line)
    except (ValueError, TypeError):
        return None
    if not isinstance(kind, str) or not isinstance(name, str) or kind not in KINDS:
        return None
    if not isinstance(before_s, int) or not isinstance(until_s, int):
        return None
    return Revocation(KINDS[kind], name, before_s, until_s)
