"""Our signing keys in the store: made at the first start, replaced when they are old.

Their public halves are kept beside the other files of the instance, so that our tokens are accepted
after a start without the store. Nothing is signed then.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from gateway.identity.public_keys import KeptKeys, PublishedKey
from gateway.identity.signing import KeyRing, SigningAlgorithm, SigningKey, new_signing_key

if TYPE_CHECKING:
    from gateway.store import signing_keys as stored
    from gateway.store.store import Store

__all__ = ["OwnKeys", "Rotation", "rotate"]


@dataclass(frozen=True)
class Rotation:
    """When keys are replaced, and how long old and new ones overlap."""

    algorithm: SigningAlgorithm
    every_s: float
    """0: only by hand."""
    publish_before_s: float
    keep_s: float
    """How long the last signature of a key may be good: lifetime of a token and clock skew."""


class OwnKeys:
    """The ring of this process, as the store had it when it was last read."""

    def __init__(
        self,
        store: "Callable[[], Store]",
        clock: Callable[[], float] = time.time,
        kept: KeptKeys | None = None,
    ) -> None:
        """``store`` raises StoreUnavailable while there is none; ``kept`` says what it had then."""
        self._store = store
        self._clock = clock
        self._kept = kept
        self._published = [] if kept is None else kept.read()
        self.ring = KeyRing(())

    async def load(self, rotation: Rotation) -> None:
        """Read the keys; make one if there is none, or if the newest is too old or of another kind.

        StoreUnavailable if the store is away: the ring then stays as it is.
        """
        now = datetime.fromtimestamp(self._clock(), UTC)
        rows = list(await self._store().signing_keys.all_valid(now))
        if not rows:
            new = await asyncio.to_thread(_new_row, rotation.algorithm)
            await self._store().signing_keys.ensure(lambda: new, now)
        elif _is_due(rows[0], rotation, now):
            await rotate(self._store(), rotation, now)
        rows = list(await self._store().signing_keys.all_valid(now))
        # Those that were read before: OpenSSL takes 40 ms for an RSA key, on the loop.
        known = {key: key for key in self.ring.keys}
        self.ring = KeyRing([known.get(key, key) for key in map(_signing_key, rows)])
        self._publish([PublishedKey(key.public_jwk, key.retire_s) for key in self.ring.keys])

    def active(self, now_s: int) -> SigningKey:
        """The key that signs. LookupError before the first `load`."""
        return self.ring.active(now_s)

    def jwks(self) -> list[dict[str, Any]]:
        """What is published: the keys whose signatures are accepted, the newest first."""
        now_s = int(self._clock())
        return [
            dict(key.jwk) for key in self._published if key.retire_s is None or now_s < key.retire_s
        ]

    def _publish(self, keys: list[PublishedKey]) -> None:
        if keys == self._published:
            return
        self._published = keys
        if self._kept is not None:
            self._kept.write(keys)


async def rotate(store: "Store", rotation: Rotation, now: datetime) -> SigningKey:
    """Add a key. It signs after ``publish_before_s``; the others count as long as is needed."""
    new = await asyncio.to_thread(_new_row, rotation.algorithm)
    signs_from = now + timedelta(seconds=rotation.publish_before_s)
    row = await store.signing_keys.rotate(
        new,
        now=now,
        not_before=signs_from,
        overlap_until=signs_from + timedelta(seconds=rotation.keep_s),
    )
    return _signing_key(row)


def _is_due(newest: "stored.SigningKey", rotation: Rotation, now: datetime) -> bool:
    if newest.algorithm != rotation.algorithm:
        return True
    age_s = (now - newest.not_before).total_seconds()
    return rotation.every_s > 0 and age_s >= rotation.every_s


def _new_row(algorithm: SigningAlgorithm) -> "stored.NewSigningKey":
    from gateway.store.signing_keys import NewSigningKey

    key = new_signing_key(algorithm, 0)
    return NewSigningKey(key.kid, algorithm, key.private_pem, key.public_jwk)


def _signing_key(row: "stored.SigningKey") -> SigningKey:
    algorithm: Any = row.algorithm
    return SigningKey(
        kid=row.kid,
        algorithm=algorithm,
        private_pem=row.private_pem,
        not_before_s=int(row.not_before.timestamp()),
        retire_s=None if row.retire_at is None else int(row.retire_at.timestamp()),
    )
