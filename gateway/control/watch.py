"""``--watch``: tells when the configuration file has changed."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

from watchfiles import awatch

__all__ = ["changes"]

DEBOUNCE_MS = 200
"""An editor writes a file in several steps; they are one change."""


async def changes(path: Path) -> AsyncIterator[None]:
    """Yield once after each change of the file's content.

    The directory is watched, not the file: editors replace the file, and Kubernetes swaps a
    symbolic link beside it. So other files there raise events as well, and the content decides.
    """
    before = _digest(path)
    async for _ in awatch(path.parent, debounce=DEBOUNCE_MS, recursive=False):
        after = _digest(path)
        if after != before:
            before = after
            yield


def _digest(path: Path) -> bytes | None:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return None  # between the deletion and the new file
