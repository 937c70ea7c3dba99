"""Stored services: their settings in ``services``, their endpoints in ``service_registry``.

The rows of a service with ``discovery`` are instances that have registered (see
`gateway.store.instances`), and no part of its definition.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.database import Area, Database
from gateway.store.definitions import Definition, check_version, definition_of
from gateway.store.errors import Conflict
from gateway.store.tables import service_registry as registry
from gateway.store.tables import services as table

__all__ = ["Services"]

_AREA: Area = "plan"
_ENDPOINT_COLUMNS = frozenset({"url", "weight"})
MAX_URL = 255
"""Characters that the column holds."""


class Services:
    """The stored services (see `gateway.store.definitions.Definitions`)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self) -> Sequence[Definition]:
        """All, in the order of their names."""
        async with self._database.read() as connection:
            return await _load(connection, sa.select(table).order_by(table.c.name))

    async def get(self, name: str) -> Definition | None:
        """The one of this name."""
        async with self._database.read() as connection:
            found = await _load(connection, sa.select(table).where(table.c.name == name))
            return found[0] if found else None

    async def add(self, name: str, section: Mapping[str, Any], now: datetime) -> Definition:
        """Add one. Conflict if the name is taken, or if instances are registered under it that a
        service without discovery would not ask for.
        """
        settings, endpoints = _split(section)
        row = {"name": name, "definition": settings, "created_at": now, "updated_at": now}
        async with self._database.write(_AREA) as connection:
            await connection.execute(sa.insert(table).values(row))
            if not _is_discovered(settings):
                await _refuse_instances(connection, name, now)
                await _unregister(connection, name)  # who is silent for too long
            await _register(connection, name, endpoints, now)
            return (await _load(connection, sa.select(table).where(table.c.name == name)))[0]

    async def replace(
        self, name: str, section: Mapping[str, Any], now: datetime, expected: int | None = None
    ) -> Definition:
        """Put another section in its place. NotFound, Superseded."""
        settings, endpoints = _split(section)
        async with self._database.write(_AREA) as connection:
            version = await check_version(self._database, name, table.c.name, expected)
            before = await connection.scalar(
                sa.select(table.c.definition).where(table.c.name == name)
            )
            await connection.execute(
                sa.update(table)
                .where(table.c.name == name)
                .values(definition=settings, version=version + 1, updated_at=now)
            )
            if not (_is_discovered(before) and _is_discovered(settings)):
                await _unregister(connection, name)
            await _register(connection, name, endpoints, now)
            return (await _load(connection, sa.select(table).where(table.c.name == name)))[0]

    async def delete(self, name: str, expected: int | None = None) -> None:
        """Remove it with its endpoints. NotFound, Superseded."""
        async with self._database.write(_AREA) as connection:
            await check_version(self._database, name, table.c.name, expected)
            await _unregister(connection, name)
            await connection.execute(sa.delete(table).where(table.c.name == name))


def _split(section: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Settings, and the endpoints that the registry's columns can hold: URLs and weights.

    An endpoint that says more stays with the settings, as do all of them then: their order counts.
    """
    settings = dict(section)
    endpoints = section.get("endpoints")
    if not isinstance(endpoints, list | tuple):
        return settings, []
    rows = [{"url": item} if isinstance(item, str) else item for item in endpoints]
    if not all(_fits_registry(row) for row in rows):
        return settings, []
    del settings["endpoints"]
    return settings, [dict(row) for row in rows]


def _fits_registry(endpoint: Any) -> bool:
    if not isinstance(endpoint, Mapping) or not _ENDPOINT_COLUMNS.issuperset(endpoint):
        return False
    url, weight = endpoint.get("url"), endpoint.get("weight", 1)
    return isinstance(url, str) and len(url) <= MAX_URL and type(weight) is int


def _is_discovered(definition: Any) -> bool:
    return isinstance(definition, Mapping) and "discovery" in definition


async def _unregister(connection: AsyncConnection, name: str) -> None:
    await connection.execute(sa.delete(registry).where(registry.c.service_name == name))


async def _refuse_instances(connection: AsyncConnection, name: str, now: datetime) -> None:
    lives = sa.or_(registry.c.expires_at.is_(None), registry.c.expires_at > now)
    count = await connection.scalar(
        sa.select(sa.func.count()).where(registry.c.service_name == name, lives)
    )
    if count:
        raise Conflict(
            f"{count} instances are registered under the name {name}; deregister them, or give the "
            f"service discovery: {{registry: {{service: {name}}}}}"
        )


async def _register(
    connection: AsyncConnection, name: str, endpoints: Iterable[Mapping[str, Any]], now: datetime
) -> None:
    rows = [
        {
            "service_name": name,
            "endpoint_url": endpoint["url"],
            "weight": endpoint.get("weight", 1),
            "created_at": now,
        }
        for endpoint in endpoints
    ]
    if rows:
        await connection.execute(sa.insert(registry), rows)


async def _load(connection: AsyncConnection, statement: sa.Select[Any]) -> list[Definition]:
    rows = (await connection.execute(statement)).mappings().all()
    endpoints: dict[str, list[dict[str, Any]]] = {row["name"]: [] for row in rows}
    found = await connection.execute(
        sa.select(registry)
        .where(
            registry.c.service_name.in_(endpoints),
            registry.c.is_active,
            registry.c.expires_at.is_(None),  # what has a time to live is an instance
        )
        .order_by(registry.c.id)
    )
    for row in found:
        endpoints[row.service_name].append({"url": row.endpoint_url, "weight": row.weight})
    return [_definition(row, endpoints[row["name"]]) for row in rows]


def _definition(row: sa.RowMapping, endpoints: list[dict[str, Any]]) -> Definition:
    section = {} if row["definition"] is None else row["definition"]
    if isinstance(section, dict) and endpoints and not _is_discovered(section):
        section = {"endpoints": endpoints, **section}  # those that it has itself come first
    return definition_of(row["name"], section, row)
