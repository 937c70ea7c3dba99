"""API keys for workers: from the state's cache, else from the store; and their use, in batches."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import orjson

from gateway.identity.authority import KeyRecord
from gateway.identity.scopes import intersect
from gateway.state.interface import State, StateUnavailable

if TYPE_CHECKING:
    from gateway.store.api_keys import ApiKey
    from gateway.store.store import Store

__all__ = ["KeyRecords"]

CACHED_S = 30
"""In the state: what other hosts ask about meanwhile does not go to the database. A cached record
counts only for the version of the store's credentials that it was read from."""
FLUSH_S = 10.0
"""Between two writes of uses."""
MAX_USES = 100_000
"""Pairs of key and route that wait for the next write; more are not counted."""

log = logging.getLogger(__name__)


class KeyRecords:
    """What is known of API keys."""

    def __init__(
        self, store: "Callable[[], Store]", state: State, clock: Callable[[], float] = time.time
    ) -> None:
        """``store`` raises StoreUnavailable while there is none."""
        self._store = store
        self._state = state
        self._clock = clock
        self.version: int | None = None
        """Of the credentials in the store; None as long as it is not known."""
        self._uses: Counter[tuple[str, str, date]] = Counter()
        self._last_used: dict[str, datetime] = {}

    async def find(self, key_id: str) -> KeyRecord | None:
        """None if there is no such key. StoreUnavailable."""
        cached = await self._cached(key_id)
        if cached is not None:
            return cached
        version = self.version  # before the row is read: it may be newer than this, never older
        key = await self._store().api_keys.by_id(key_id)
        if key is None:
            return None
        record = _record(key, datetime.fromtimestamp(self._clock(), UTC))
        if version is not None:
            await self._cache(key_id, record, version)
        return record

    async def _cached(self, key_id: str) -> KeyRecord | None:
        try:
            fields = await self._state.get("api_keys", key_id)
            if fields is None or fields["version"] != str(self.version):
                return None
            return KeyRecord.from_message(orjson.loads(fields["record"]))
        except (StateUnavailable, KeyError, ValueError, TypeError):
            return None  # the store knows

    async def _cache(self, key_id: str, record: KeyRecord, version: int) -> None:
        fields = {
            "version": str(version),
            "userId": record.user,
            "scopes": " ".join(sorted(record.scopes)),
            "lastUsed": str(int(self._clock())),
            "record": orjson.dumps(record.to_message()).decode(),
        }
        try:
            await self._state.put("api_keys", key_id, fields, CACHED_S)
        except StateUnavailable:
            return  # asked again next time

    # --- uses --------------------------------------------------------------------------------

    def used(self, uses: list[list[Any]]) -> None:
        """A worker's report: key's id, route, number of requests."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        for key_id, route, count in uses:
            place = (key_id, route, now.date())
            if place in self._uses or len(self._uses) < MAX_USES:
                self._uses[place] += count
                self._last_used[key_id] = now

    async def run(self) -> None:
        """Write uses to the store from time to time, until cancelled; then what is left."""
        try:
            while True:
                await asyncio.sleep(FLUSH_S)
                await self.flush()
        finally:
            await self.flush()

    async def flush(self) -> None:
        """Write what has been reported; if the store is away, it waits for the next time."""
        from gateway.store.api_keys import KeyUse
        from gateway.store.errors import StoreError

        if not self._uses:
            return
        uses, self._uses = self._uses, Counter()
        last_used, self._last_used = self._last_used, {}
        batch = [
            KeyUse(key_id, day, route, count, last_used[key_id])
            for (key_id, route, day), count in uses.items()
        ]
        try:
            await self._store().api_keys.add_usage(batch)
        except StoreError as error:
            log.warning("uses of API keys wait to be written: %s", error)
            self._uses.update(uses)
            self._last_used = {**last_used, **self._last_used}


def _record(key: "ApiKey", now: datetime) -> KeyRecord:
    state = "active"
    if key.ended:
        state = "revoked"
    elif key.expires_at is not None and key.expires_at <= now:
        state = "expired"
    scopes = intersect(key.scopes, key.owner_scopes)
    if key.client_id is not None:
        scopes = intersect(scopes, key.client_scopes)
    return KeyRecord(
        digests=[(v.digest, _unix(v.valid_until)) for v in key.versions],
        state=state,
        user=key.owner_id,
        client=key.client_id or "",
        scopes=scopes,
        expires_s=_unix(key.expires_at),
        rate_limit_policy=key.rate_limit_policy or key.client_policy or "",
    )


def _unix(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())
