"""The state of one host, in the memory of its control process."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import get_args

from gateway.state.interface import Revocation, Space

__all__ = ["LocalState"]

MAX_ENTRIES = 100_000
"""Of each space, so that a flood of logins, which makes one for each name it tries, drops nothing
else; at some 200 bytes each."""


@dataclass(slots=True)
class _Entry:
    ends: float
    fields: dict[str, str]
    counter: int = 0


class LocalState:
    """Entries with an end, the oldest first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[Space, dict[str, _Entry]] = {space: {} for space in get_args(Space)}
        self._revoked: asyncio.Queue[Revocation] = asyncio.Queue()

    def size(self, space: Space) -> int:
        """How many entries it has, also such as are over."""
        return len(self._entries[space])

    async def put(self, space: Space, key: str, fields: Mapping[str, str], ttl_s: int) -> None:
        """See `State.put`."""
        self._entries[space].pop(key, None)
        self._add(space, key, ttl_s).fields = dict(fields)

    async def get(self, space: Space, key: str) -> dict[str, str] | None:
        """See `State.get`."""
        entry = self._find(space, key)
        return None if entry is None else dict(entry.fields)

    async def take(self, space: Space, key: str) -> dict[str, str] | None:
        """See `State.take`."""
        entry = self._find(space, key)
        self._entries[space].pop(key, None)
        return None if entry is None else entry.fields

    async def forget(self, space: Space, key: str) -> None:
        """See `State.forget`."""
        self._entries[space].pop(key, None)

    async def count(self, space: Space, key: str, window_s: int, by: int = 1) -> int:
        """See `State.count`."""
        entry = self._find(space, key) or self._add(space, key, window_s)
        entry.counter += by
        return entry.counter

    async def revoke(self, revocation: Revocation) -> None:
        """See `State.revoke`."""
        self._revoked.put_nowait(revocation)

    async def revocations(self) -> AsyncIterator[Revocation]:
        """See `State.revocations`. The store knows those from before this process began."""
        while True:
            yield await self._revoked.get()

    async def close(self) -> None:
        """Nothing to let go of."""

    def _find(self, space: Space, key: str) -> _Entry | None:
        entries = self._entries[space]
        entry = entries.get(key)
        if entry is not None and entry.ends <= self._clock():
            del entries[key]
            return None
        return entry

    def _add(self, space: Space, key: str, ttl_s: int) -> _Entry:
        self._make_room(self._entries[space])
        entry = self._entries[space][key] = _Entry(self._clock() + ttl_s, {})
        return entry

    def _make_room(self, entries: dict[str, _Entry]) -> None:
        """Drop from the old end what is over, and more if there is no room."""
        now = self._clock()
        while entries:
            oldest = next(iter(entries))
            if entries[oldest].ends > now and len(entries) < MAX_ENTRIES:
                return
            del entries[oldest]
