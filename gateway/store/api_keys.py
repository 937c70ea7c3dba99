"""API keys: their digests, owners and use. The text of a key is nowhere in the store."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.database import Area, Database
from gateway.store.errors import NotFound
from gateway.store.tables import (
    api_clients,
    api_key_usage,
    api_key_versions,
    api_keys,
    rate_limit_policies,
    users,
)

__all__ = ["ApiKey", "ApiKeys", "KeyUse", "KeyVersion"]

_AREA: Area = "credentials"
MAX_ROUTE = 255
"""Characters of a route's pattern that are kept with its uses."""


@dataclass(frozen=True)
class KeyVersion:
    """One digest of a key."""

    version: int
    digest: bytes
    """SHA-256 of the text of the key."""
    valid_until: datetime | None
    """None for the newest; the others end then."""


@dataclass(frozen=True)
class ApiKey:
    """A row of ``api_keys`` with its digests and the state of its owner and client."""

    id: str
    owner_id: str
    client_id: str | None
    owner_email: str
    owner_disabled: bool
    owner_scopes: tuple[str, ...]
    client_name: str | None
    client_active: bool | None
    client_scopes: tuple[str, ...]
    client_policy: str | None
    name: str
    scopes: tuple[str, ...]
    rate_limit_policy: str | None
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime
    versions: tuple[KeyVersion, ...]
    """The newest first."""

    @property
    def version(self) -> int:
        """Of the newest digest."""
        return self.versions[0].version

    @property
    def ended(self) -> bool:
        """Whether it, its owner or its client has been switched off."""
        return self.revoked_at is not None or self.owner_disabled or self.client_active is False


@dataclass(frozen=True)
class KeyUse:
    """How often a key was used on a route since the last batch."""

    key_id: str
    day: date
    route: str
    count: int
    last_used: datetime


_SELECT = sa.select(
    api_keys,
    users.c.email.label("owner_email"),
    users.c.disabled.label("owner_disabled"),
    users.c.scopes.label("owner_scopes"),
    api_clients.c.client_name,
    api_clients.c.is_active.label("client_active"),
    api_clients.c.scopes.label("client_scopes"),
    rate_limit_policies.c.policy_name.label("client_policy"),
).select_from(api_keys.join(users).outerjoin(api_clients).outerjoin(rate_limit_policies))


class ApiKeys:
    """The tables ``api_keys``, ``api_key_versions``, ``api_key_usage``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        key_id: str,
        digest: bytes,
        owner_id: str,
        *,
        now: datetime,
        name: str = "",
        scopes: Iterable[str] = (),
        expires: datetime | None = None,
        rate_limit_policy: str | None = None,
        client_id: str | None = None,
    ) -> ApiKey:
        """Add a key. Conflict if id or digest exist, or owner or client do not."""
        row = {
            "id": key_id,
            "owner_id": owner_id,
            "client_id": client_id,
            "name": name,
            "scopes": tuple(scopes),
            "expires_at": expires,
            "rate_limit_policy": rate_limit_policy,
            "created_at": now,
        }
        async with self._database.write(_AREA) as connection:
            await connection.execute(sa.insert(api_keys).values(row))
            await _add_version(connection, key_id, 1, digest, now)
            return (await self._load(connection, _SELECT.where(api_keys.c.id == key_id)))[0]

    async def by_id(self, key_id: str) -> ApiKey | None:
        """The key with its owner's state, also if it is revoked or over."""
        async with self._database.read() as connection:
            found = await self._load(connection, _SELECT.where(api_keys.c.id == key_id))
            return found[0] if found else None

    async def list(
        self, owner_id: str | None = None, after: str = "", limit: int = 100
    ) -> Sequence[ApiKey]:
        """Keys in the order of their ids, from behind `after`; of one owner if named."""
        statement = _SELECT.where(api_keys.c.id > after).order_by(api_keys.c.id).limit(limit)
        if owner_id is not None:
            statement = statement.where(api_keys.c.owner_id == owner_id)
        async with self._database.read() as connection:
            return await self._load(connection, statement)

    async def rotate(
        self, key_id: str, new_digest: bytes, *, now: datetime, overlap_until: datetime
    ) -> ApiKey:
        """Add a newer digest; those before it are valid until `overlap_until` at the latest.

        NotFound if there is no such key, or it is revoked.
        """
        valid_until = api_key_versions.c.valid_until
        lives_longer = (api_key_versions.c.key_id == key_id) & (
            valid_until.is_(None) | (valid_until > overlap_until)
        )
        async with self._database.write(_AREA) as connection:
            key = await self._running(connection, key_id)
            await connection.execute(
                sa.update(api_key_versions).where(lives_longer).values(valid_until=overlap_until)
            )
            await _add_version(connection, key_id, key.version + 1, new_digest, now)
            return (await self._load(connection, _SELECT.where(api_keys.c.id == key_id)))[0]

    async def revoke(self, key_id: str, now: datetime) -> bool:
        """End a key at once; False if there is none that is not revoked."""
        running = (api_keys.c.id == key_id) & api_keys.c.revoked_at.is_(None)
        async with self._database.write(_AREA) as connection:
            ended = await connection.execute(
                sa.update(api_keys).where(running).values(revoked_at=now)
            )
            return ended.rowcount == 1

    async def add_usage(self, batch: Iterable[KeyUse]) -> None:
        """Add up uses per day and route. Uses of a key that is gone are dropped."""
        # In one order everywhere: two hosts that take the same rows must not wait for each other.
        uses = sorted(_merged(batch), key=lambda use: (use.key_id, use.day, use.route))
        if not uses:
            return
        latest: dict[str, datetime] = {}
        for use in uses:
            latest[use.key_id] = max(use.last_used, latest.get(use.key_id, use.last_used))
        async with self._database.write() as connection:
            known = await connection.execute(
                sa.select(api_keys.c.id).where(api_keys.c.id.in_(latest)).order_by(api_keys.c.id)
            )
            ids = dict.fromkeys(known.scalars())
            rows = [
                {"key_id": use.key_id, "day": use.day, "route": use.route, "uses": use.count}
                for use in uses
                if use.key_id in ids
            ]
            if rows:
                await self._database.upsert(connection, api_key_usage, rows, add="uses")
            for key_id in ids:
                await _touch(connection, key_id, latest[key_id])

    async def usage(self, key_id: str, since: date) -> Sequence[tuple[date, str, int]]:
        """Day, route, uses: in that order, from `since` on."""
        wanted = (api_key_usage.c.key_id == key_id) & (api_key_usage.c.day >= since)
        columns = (api_key_usage.c.day, api_key_usage.c.route, api_key_usage.c.uses)
        statement = sa.select(*columns).where(wanted).order_by(*columns[:2])
        async with self._database.read() as connection:
            return [(row[0], row[1], row[2]) for row in await connection.execute(statement)]

    async def _running(self, connection: AsyncConnection, key_id: str) -> ApiKey:
        found = await self._load(connection, _SELECT.where(api_keys.c.id == key_id))
        if not found or found[0].revoked_at is not None:
            raise NotFound(f"there is no key {key_id} that could be rotated")
        return found[0]

    async def _load(
        self, connection: AsyncConnection, statement: sa.Select[Any]
    ) -> Sequence[ApiKey]:
        rows = (await connection.execute(statement)).mappings().all()
        versions: dict[str, list[KeyVersion]] = {row["id"]: [] for row in rows}
        found = await connection.execute(
            sa.select(api_key_versions)
            .where(api_key_versions.c.key_id.in_(versions))
            .order_by(api_key_versions.c.version.desc())
        )
        for row in found:
            versions[row.key_id].append(KeyVersion(row.version, row.digest, row.valid_until))
        return [ApiKey(**row, versions=tuple(versions[row["id"]])) for row in rows]


async def _add_version(
    connection: AsyncConnection, key_id: str, version: int, digest: bytes, now: datetime
) -> None:
    await connection.execute(
        sa.insert(api_key_versions).values(
            key_id=key_id, version=version, digest=digest, created_at=now
        )
    )


async def _touch(connection: AsyncConnection, key_id: str, last_used: datetime) -> None:
    older = api_keys.c.last_used_at.is_(None) | (api_keys.c.last_used_at < last_used)
    await connection.execute(
        sa.update(api_keys).where((api_keys.c.id == key_id) & older).values(last_used_at=last_used)
    )


def _merged(batch: Iterable[KeyUse]) -> list[KeyUse]:
    """One entry for each key, day and route: a statement may meet a row only once."""
    merged: dict[tuple[str, date, str], KeyUse] = {}
    for use in batch:
        place = (use.key_id, use.day, use.route[:MAX_ROUTE])
        before = merged.get(place)
        merged[place] = KeyUse(
            *place,
            use.count + (before.count if before else 0),
            max(use.last_used, before.last_used) if before else use.last_used,
        )
    return list(merged.values())
