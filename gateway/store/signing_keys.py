"""Signing keys: with what our own tokens are signed, and how long each key counts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.database import Area, Database
from gateway.store.tables import signing_keys

__all__ = ["NewSigningKey", "SigningKey", "SigningKeys"]

_AREA: Area = "signing_keys"


@dataclass(frozen=True)
class NewSigningKey:
    """A key pair that is not in the store yet."""

    kid: str
    algorithm: str
    """``RS256``, ``ES256``, ``EdDSA``."""
    private_pem: str
    public_jwk: Mapping[str, Any]


@dataclass(frozen=True)
class SigningKey:
    """A row of ``signing_keys``."""

    kid: str
    algorithm: str
    private_pem: str
    public_jwk: Mapping[str, Any]
    not_before: datetime
    """From then on it signs; before, it is only shown, so that others can fetch it in time."""
    retire_at: datetime | None
    """From then on it does not count any more."""
    created_at: datetime

    def __repr__(self) -> str:
        """Without the secret."""
        return f"SigningKey(kid={self.kid!r}, algorithm={self.algorithm!r})"


class SigningKeys:
    """The table ``signing_keys``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all_valid(self, now: datetime) -> Sequence[SigningKey]:
        """All that are not retired, the newest first; also those that do not sign yet."""
        async with self._database.read() as connection:
            return await _valid(connection, now)

    async def current(self, now: datetime) -> SigningKey | None:
        """The one that signs: the newest whose time has come."""
        return next((key for key in await self.all_valid(now) if key.not_before <= now), None)

    async def add(
        self,
        key: NewSigningKey,
        *,
        now: datetime,
        not_before: datetime | None = None,
        retire_at: datetime | None = None,
    ) -> SigningKey:
        """Add a key that signs from `not_before` on (from now, if not said)."""
        async with self._database.write(_AREA) as connection:
            return await _insert(connection, key, now, not_before or now, retire_at)

    async def ensure(self, make: Callable[[], NewSigningKey], now: datetime) -> SigningKey:
        """The current key; made by `make` if there is none. One, however many hosts ask at once."""
        if (current := await self.current(now)) is not None:
            return current
        new = make()  # takes a while: outside the transaction
        async with self._database.write(_AREA) as connection:  # its lock lets one in at a time
            for key in await _valid(connection, now):
                if key.not_before <= now:
                    return key
            return await _insert(connection, new, now, now, None)

    async def rotate(
        self,
        new: NewSigningKey,
        *,
        now: datetime,
        overlap_until: datetime,
        not_before: datetime | None = None,
    ) -> SigningKey:
        """Add a key and retire the others at `overlap_until`, or sooner where that is said."""
        later = signing_keys.c.retire_at.is_(None) | (signing_keys.c.retire_at > overlap_until)
        async with self._database.write(_AREA) as connection:
            await connection.execute(
                sa.update(signing_keys).where(later).values(retire_at=overlap_until)
            )
            return await _insert(connection, new, now, not_before or now, None)

    async def retire(self, kid: str, now: datetime) -> bool:
        """Let a key count no more, at once: it has leaked. False if there is none that counts."""
        later = signing_keys.c.retire_at.is_(None) | (signing_keys.c.retire_at > now)
        async with self._database.write(_AREA) as connection:
            retired = await connection.execute(
                sa.update(signing_keys)
                .where((signing_keys.c.kid == kid) & later)
                .values(retire_at=now)
            )
            return retired.rowcount == 1


async def _valid(connection: AsyncConnection, now: datetime) -> list[SigningKey]:
    counts = signing_keys.c.retire_at.is_(None) | (signing_keys.c.retire_at > now)
    order = (signing_keys.c.not_before.desc(), signing_keys.c.kid)
    found = await connection.execute(sa.select(signing_keys).where(counts).order_by(*order))
    return [SigningKey(**row) for row in found.mappings()]


async def _insert(
    connection: AsyncConnection,
    key: NewSigningKey,
    now: datetime,
    not_before: datetime,
    retire_at: datetime | None,
) -> SigningKey:
    row = {
        "kid": key.kid,
        "algorithm": key.algorithm,
        "private_pem": key.private_pem,
        "public_jwk": dict(key.public_jwk),
        "not_before": not_before,
        "retire_at": retire_at,
        "created_at": now,
    }
    added = await connection.execute(sa.insert(signing_keys).values(row).returning(signing_keys))
    return SigningKey(**added.mappings().one())
