"""Stored routes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from gateway.store.database import Area, Database
from gateway.store.definitions import Definition, check_version
from gateway.store.tables import gateway_routes as table

__all__ = ["Routes"]

_AREA: Area = "plan"


class Routes:
    """The table ``gateway_routes`` (see `gateway.store.definitions.Definitions`)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self) -> Sequence[Definition]:
        """All, in the order of their names."""
        async with self._database.read() as connection:
            found = await connection.execute(sa.select(table).order_by(table.c.name))
            return [_definition(row) for row in found.mappings()]

    async def get(self, name: str) -> Definition | None:
        """The one of this name."""
        async with self._database.read() as connection:
            found = await connection.execute(sa.select(table).where(table.c.name == name))
            row = found.mappings().one_or_none()
            return None if row is None else _definition(row)

    async def add(self, name: str, section: Mapping[str, Any], now: datetime) -> Definition:
        """Add one. Conflict if the name is taken."""
        row = {"name": name, **_columns(section), "created_at": now, "updated_at": now}
        async with self._database.write(_AREA) as connection:
            added = await connection.execute(sa.insert(table).values(row).returning(table))
            return _definition(added.mappings().one())

    async def replace(
        self, name: str, section: Mapping[str, Any], now: datetime, expected: int | None = None
    ) -> Definition:
        """Put another section in its place. NotFound, Superseded."""
        async with self._database.write(_AREA) as connection:
            version = await check_version(self._database, name, table.c.name, expected)
            changed = await connection.execute(
                sa.update(table)
                .where(table.c.name == name)
                .values(**_columns(section), version=version + 1, updated_at=now)
                .returning(table)
            )
            return _definition(changed.mappings().one())

    async def delete(self, name: str, expected: int | None = None) -> None:
        """Remove it. NotFound, Superseded."""
        async with self._database.write(_AREA) as connection:
            await check_version(self._database, name, table.c.name, expected)
            await connection.execute(sa.delete(table).where(table.c.name == name))


def _columns(section: Mapping[str, Any]) -> dict[str, Any]:
    methods = section.get("methods") or "*"
    return {
        "path_pattern": str(section.get("path", "")),
        "service_name": str(section.get("service", "")),
        "method": methods if isinstance(methods, str) else ",".join(map(str, methods)),
        "auth_required": section.get("auth", "required") == "required",
        "definition": dict(section),
    }


def _definition(row: sa.RowMapping) -> Definition:
    section = row["definition"]
    if section is None:
        section = {"path": row["path_pattern"], "service": row["service_name"]}
        if row["method"] not in ("", "*"):
            section["methods"] = row["method"].split(",")
        if not row["auth_required"]:
            section["auth"] = "none"
    return Definition(row["name"], section, row["version"], row["created_at"], row["updated_at"])
