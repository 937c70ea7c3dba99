"""Instances of services that are registered one by one: rows of ``service_registry``.

The endpoints in the definition of a stored service are rows of the same table, see
`gateway.store.services`. An instance is known by its service and URL: who registers twice has one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.database import Area, Database
from gateway.store.errors import Conflict, NotFound, Superseded
from gateway.store.tables import service_registry as table
from gateway.store.tables import services

__all__ = ["Health", "Instance", "Instances", "Registration", "State"]

State = Literal["active", "expired", "inactive"]
"""Gets requests; gets none until its next heartbeat; was taken out."""
_AREA: Area = "registry"
FORGET_AFTER = timedelta(hours=1)
"""How long an instance that sent no heartbeat is still shown. It gets no requests in that time."""
DEFINED = (
    "the endpoints of service {} are part of its stored definition; change them there, or give it "
    "discovery: {{registry: …}}"
)


@dataclass(frozen=True)
class Registration:
    """What an instance says of itself."""

    service: str
    url: str
    weight: int = 1
    zone: str | None = None
    metadata: dict[str, Any] | None = None
    """For people and other programs; the gateway does not read it."""
    ttl_s: int | None = None
    """It leaves when no heartbeat came for so long; None: it stays until it is removed."""


@dataclass(frozen=True)
class Instance:
    """A row."""

    id: int
    service: str
    url: str
    weight: int
    zone: str | None
    metadata: dict[str, Any] | None
    active: bool
    ttl_s: int | None
    expires_at: datetime | None
    health: str
    """As some gateway saw it when it last changed: ``unknown``, ``healthy`` or ``unhealthy``."""
    health_changed_at: datetime | None
    health_reported_by: str | None
    version: int
    created_at: datetime
    updated_at: datetime

    def state(self, now: datetime) -> State:
        """An outage of the store may let it be ``active`` for longer than the row says."""
        if not self.active:
            return "inactive"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"

    def says(self, registration: "Registration") -> bool:
        """Whether the registration is the one that it was registered with."""
        return registration == Registration(
            self.service, self.url, self.weight, self.zone, self.metadata, self.ttl_s
        )


class Health(NamedTuple):
    """What the checks of a gateway found, when it became so."""

    service: str
    url: str
    health: str
    at: datetime


_COLUMNS = {
    "service": "service_name",
    "url": "endpoint_url",
    "active": "is_active",
    "health": "health_status",
    "health_changed_at": "last_health_check",
}
"""Our names of columns that are called otherwise in the table."""
_SELECT = sa.select(
    *(table.c[_COLUMNS.get(name, name)].label(name) for name in Instance.__dataclass_fields__)
)


class Instances:
    """The table ``service_registry``, as those see it who register and who look for instances."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(
        self, service: str | None = None, after: int = 0, limit: int = 100
    ) -> Sequence[Instance]:
        """In the order of their ids, from behind `after`."""
        statement = _SELECT.where(table.c.id > after).order_by(table.c.id).limit(limit)
        if service is not None:
            statement = statement.where(table.c.service_name == service)
        return await self._read(statement)

    async def by_id(self, instance_id: int) -> Instance | None:
        """The one with this id."""
        found = await self._read(_SELECT.where(table.c.id == instance_id))
        return found[0] if found else None

    async def of_service(self, service: str) -> Sequence[Instance]:
        """All of the service, in use or not."""
        return await self._read(_SELECT.where(table.c.service_name == service))

    async def register(self, registration: Registration, now: datetime) -> tuple[Instance, bool]:
        """Add an instance, or lay what it says now over what it said before; whether it is new.

        One that was taken out of use stays so. Conflict if the service's stored definition has
        endpoints of its own.
        """
        said = {
            "weight": registration.weight,
            "zone": registration.zone,
            "metadata": registration.metadata,
            "ttl_s": registration.ttl_s,
            "expires_at": _expiry(registration.ttl_s, now),
            "updated_at": now,
        }
        async with self._database.write(_AREA) as connection:
            await _refuse_endpoints_of_definition(connection, registration.service)
            known = (table.c.service_name == registration.service) & (
                table.c.endpoint_url == registration.url
            )
            changed = await connection.execute(
                sa.update(table)
                .where(known)
                .values(**said, version=table.c.version + 1)
                .returning(table.c.id)
            )
            row_id = changed.scalars().first()
            is_new = row_id is None
            if is_new:
                row = {"service_name": registration.service, "endpoint_url": registration.url}
                added = await connection.execute(
                    sa.insert(table).values(**row, **said, created_at=now).returning(table.c.id)
                )
                row_id = added.scalar_one()
            found = await connection.execute(_SELECT.where(table.c.id == row_id))
            return Instance(**found.mappings().one()), is_new

    async def renew(self, registration: Registration, now: datetime) -> Instance | None:
        """A registration that says nothing new is a heartbeat; None if it says something new.

        Conflict as for `register`.
        """
        known = await self._read(
            _SELECT.where(
                table.c.service_name == registration.service,
                table.c.endpoint_url == registration.url,
            )
        )
        if not known or not known[0].says(registration) or known[0].state(now) == "expired":
            return None
        async with self._database.write() as connection:
            await _refuse_endpoints_of_definition(connection, registration.service)
            await connection.execute(
                sa.update(table)
                .where(table.c.id == known[0].id)
                .values(expires_at=_expiry(registration.ttl_s, now))
            )
            return await self.by_id(known[0].id)

    async def heartbeat(self, instance_id: int, now: datetime) -> Instance:
        """It lives. NotFound, Conflict if it was registered without a time to live."""
        before = await self.by_id(instance_id)
        if before is None:
            raise NotFound(f"there is no instance {instance_id}; it has to register again")
        if before.ttl_s is None:
            raise Conflict(f"instance {instance_id} has no ttl_s, so that it needs no heartbeat")
        # Others hear of it only when it comes back: a heartbeat is no change.
        is_back = before.state(now) == "expired"
        async with self._database.write(_AREA if is_back else None) as connection:
            expires_at = _expiry(before.ttl_s, now)
            await connection.execute(
                sa.update(table).where(table.c.id == instance_id).values(expires_at=expires_at)
            )
        return await self._known(instance_id)

    async def change(
        self, instance_id: int, now: datetime, expected: int | None = None, **values: Any
    ) -> Instance:
        """Change ``weight``, ``zone``, ``metadata``, ``active``. NotFound, Superseded, Conflict."""
        columns = {_COLUMNS.get(name, name): value for name, value in values.items()}
        async with self._database.write(_AREA) as connection:
            version = await _version(connection, instance_id, expected)
            await connection.execute(
                sa.update(table)
                .where(table.c.id == instance_id)
                .values(**columns, version=version + 1, updated_at=now)
            )
            return await self._known(instance_id)

    async def remove(self, instance_id: int, expected: int | None = None) -> None:
        """It is gone. NotFound, Superseded, Conflict."""
        async with self._database.write(_AREA) as connection:
            await _version(connection, instance_id, expected)
            await connection.execute(sa.delete(table).where(table.c.id == instance_id))

    async def forget(self, now: datetime, up_since: datetime) -> int:
        """Remove who crashed without a word; returns how many.

        `up_since`: since when the store could be reached without interruption. Nobody is forgotten
        before there was time for a heartbeat, and `FORGET_AFTER` beyond it.
        """
        ttl_s = sa.func.coalesce(table.c.ttl_s, 0)
        async with self._database.write() as connection:
            gone = await connection.execute(
                sa.delete(table).where(
                    table.c.expires_at < now - FORGET_AFTER,
                    ttl_s < int((now - up_since - FORGET_AFTER).total_seconds()),
                )
            )
            return int(gone.rowcount)

    async def report_health(self, found: Iterable[Health], reporter: str) -> None:
        """Keep what the checks of one gateway have found; endpoints without a row are passed over.

        Nobody is told, and nobody goes by it: each gateway goes by its own checks.
        """
        async with self._database.write() as connection:
            # In one order: of two hosts that lock rows in different ones, each waits for the other.
            for service, url, health, at in sorted(found):
                await connection.execute(
                    sa.update(table)
                    .where(table.c.service_name == service, table.c.endpoint_url == url)
                    .values(health_status=health, last_health_check=at, health_reported_by=reporter)
                )

    async def _known(self, instance_id: int) -> Instance:
        found = await self.by_id(instance_id)
        if found is None:
            raise NotFound(f"there is no instance {instance_id}")
        return found

    async def _read(self, statement: sa.Select[Any]) -> Sequence[Instance]:
        async with self._database.read() as connection:
            found = await connection.execute(statement)
            return [Instance(**row) for row in found.mappings()]


def _expiry(ttl_s: int | None, now: datetime) -> datetime | None:
    return None if ttl_s is None else now + timedelta(seconds=ttl_s)


async def _version(connection: AsyncConnection, instance_id: int, expected: int | None) -> int:
    """That of the row, locked until the transaction ends. NotFound, Superseded, Conflict."""
    found = await connection.execute(
        sa.select(table.c.version, table.c.service_name, table.c.ttl_s)
        .where(table.c.id == instance_id)
        .with_for_update()
    )
    row = found.one_or_none()
    if row is None:
        raise NotFound(f"there is no instance {instance_id}")
    if row.ttl_s is None:  # what has a time to live is never an endpoint of a definition
        await _refuse_endpoints_of_definition(connection, row.service_name)
    if expected is not None and row.version != expected:
        raise Superseded(row.version)
    return int(row.version)


async def _refuse_endpoints_of_definition(connection: AsyncConnection, service: str) -> None:
    found = await connection.execute(
        sa.select(services.c.definition).where(services.c.name == service)
    )
    row = found.one_or_none()
    if row is not None and "discovery" not in (row.definition or {}):
        raise Conflict(DEFINED.format(service))
