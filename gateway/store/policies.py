"""Stored rate limit policies."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from gateway.store.database import Area, Database
from gateway.store.definitions import Definition, check_version
from gateway.store.tables import rate_limit_policies as table

__all__ = ["Policies"]

_AREA: Area = "plan"
_PER_MINUTE = {"s": 60.0, "min": 1.0, "h": 1 / 60, "d": 1 / 1440}
"""What ``1/UNIT`` is in requests per minute."""
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)/(s|min|h|d)")


class Policies:
    """The table ``rate_limit_policies`` (see `gateway.store.definitions.Definitions`)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self) -> Sequence[Definition]:
        """All, in the order of their names."""
        async with self._database.read() as connection:
            found = await connection.execute(sa.select(table).order_by(table.c.policy_name))
            return [_definition(row) for row in found.mappings()]

    async def get(self, name: str) -> Definition | None:
        """The one of this name."""
        async with self._database.read() as connection:
            found = await connection.execute(sa.select(table).where(table.c.policy_name == name))
            row = found.mappings().one_or_none()
            return None if row is None else _definition(row)

    async def add(self, name: str, section: Mapping[str, Any], now: datetime) -> Definition:
        """Add one. Conflict if the name is taken."""
        row = {"policy_name": name, **_columns(section), "created_at": now, "updated_at": now}
        async with self._database.write(_AREA) as connection:
            added = await connection.execute(sa.insert(table).values(row).returning(table))
            return _definition(added.mappings().one())

    async def replace(
        self, name: str, section: Mapping[str, Any], now: datetime, expected: int | None = None
    ) -> Definition:
        """Put another section in its place. NotFound, Superseded."""
        async with self._database.write(_AREA) as connection:
            version = await check_version(self._database, name, table.c.policy_name, expected)
            changed = await connection.execute(
                sa.update(table)
                .where(table.c.policy_name == name)
                .values(**_columns(section), version=version + 1, updated_at=now)
                .returning(table)
            )
            return _definition(changed.mappings().one())

    async def delete(self, name: str, expected: int | None = None) -> None:
        """Remove it; clients that had it have none then. NotFound, Superseded."""
        async with self._database.write(_AREA) as connection:
            await check_version(self._database, name, table.c.policy_name, expected)
            await connection.execute(sa.delete(table).where(table.c.policy_name == name))


def _columns(section: Mapping[str, Any]) -> dict[str, Any]:
    rate = _RATE.fullmatch(str(section.get("rate", "")))
    per_minute = round(float(rate[1]) * _PER_MINUTE[rate[2]]) if rate else 0
    burst = section.get("burst")
    return {
        "requests_per_minute": per_minute,
        "burst_capacity": burst if isinstance(burst, int) else per_minute,
        "definition": dict(section),
    }


def _definition(row: sa.RowMapping) -> Definition:
    section = row["definition"]
    if section is None:
        # The table counts requests in a minute, whatever the window is.
        section = {
            "algorithm": "token_bucket",
            "rate": f"{row['requests_per_minute']}/min",
            "burst": row["burst_capacity"],
        }
    name = row["policy_name"]
    return Definition(name, section, row["version"], row["created_at"], row["updated_at"])
