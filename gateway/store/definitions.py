"""What stored routes, services and policies have in common: a name and a section of configuration.

Whether the section is valid is not the store's business: it may have been written by a newer
gateway or by hand. Who reads it checks it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson
import sqlalchemy as sa

from gateway.store.column_types import Undecoded
from gateway.store.database import Area, Database
from gateway.store.errors import NotFound, Superseded

__all__ = ["Definition", "Definitions", "SectionTable", "check_version", "definition_of"]

_AREA: Area = "plan"


@dataclass(frozen=True)
class Definition:
    """A route, service or policy as the configuration file would write it."""

    name: str
    section: Any
    """The mapping under the name; whatever JSON a hand has written, if it is not valid."""
    version: int
    created_at: datetime
    updated_at: datetime
    problem: str | None = None
    """Why there is no section: what stands there cannot be read, or not be written again."""


class Definitions(Protocol):
    """A table of them. Each change raises the version, and others hear of it."""

    async def list(self) -> Sequence[Definition]:
        """All, in the order of their names."""

    async def get(self, name: str) -> Definition | None:
        """The one of this name."""

    async def add(self, name: str, section: Mapping[str, Any], now: datetime) -> Definition:
        """Add one. Conflict if the name is taken."""

    async def replace(
        self, name: str, section: Mapping[str, Any], now: datetime, expected: int | None = None
    ) -> Definition:
        """Put another section in its place. NotFound; Superseded if it has another version."""

    async def delete(self, name: str, expected: int | None = None) -> None:
        """Remove it. NotFound; Superseded if it has another version."""


async def check_version(
    database: Database, name: str, key: sa.Column[Any], expected: int | None
) -> int:
    """The version of the row whose `key` is `name`, locked until the transaction ends.

    NotFound if there is none, Superseded if it is not the one expected.
    """
    table = key.table
    async with database.write() as connection:
        found = await connection.execute(
            sa.select(table.c.version).where(key == name).with_for_update()
        )
        version: int | None = found.scalar_one_or_none()
    if version is None:
        raise NotFound(f"there is no {name!r} in the store")
    if expected is not None and version != expected:
        raise Superseded(version)
    return version


def definition_of(name: object, section: Any, row: sa.RowMapping) -> Definition:
    """What stands in a row. Its section can be written as JSON, or is left out with a reason."""
    problem = _problem(section)
    return Definition(
        str(name),
        section if problem is None else None,
        row["version"],
        row["created_at"],
        row["updated_at"],
        problem,
    )


def _problem(section: Any) -> str | None:
    if isinstance(section, Undecoded):
        return section.reason
    try:
        orjson.dumps(section)
    except TypeError as error:  # orjson.JSONEncodeError is one
        return f"cannot be written as JSON: {error}"
    return None


class SectionTable(ABC):
    """`Definitions` in one table, a row each: its columns say in part what the section says."""

    def __init__(self, database: Database, key: sa.Column[Any]) -> None:
        """``key``: the column of the names."""
        self._database = database
        self._key = key
        self._table = key.table

    @abstractmethod
    def columns(self, section: Mapping[str, Any]) -> dict[str, Any]:
        """What is written for a section, `definition` among it."""

    @abstractmethod
    def section(self, row: sa.RowMapping) -> dict[str, Any]:
        """The section of a row that another program has written, without a `definition`."""

    async def list(self) -> Sequence[Definition]:
        """See `Definitions.list`."""
        async with self._database.read() as connection:
            found = await connection.execute(sa.select(self._table).order_by(self._key))
            return [self._definition(row) for row in found.mappings()]

    async def get(self, name: str) -> Definition | None:
        """See `Definitions.get`."""
        async with self._database.read() as connection:
            found = await connection.execute(sa.select(self._table).where(self._key == name))
            row = found.mappings().one_or_none()
            return None if row is None else self._definition(row)

    async def add(self, name: str, section: Mapping[str, Any], now: datetime) -> Definition:
        """See `Definitions.add`. Conflict if the name is taken."""
        row = {self._key.name: name, **self.columns(section), "created_at": now, "updated_at": now}
        async with self._database.write(_AREA) as connection:
            added = await connection.execute(
                sa.insert(self._table).values(row).returning(self._table)
            )
            return self._definition(added.mappings().one())

    async def replace(
        self, name: str, section: Mapping[str, Any], now: datetime, expected: int | None = None
    ) -> Definition:
        """See `Definitions.replace`."""
        async with self._database.write(_AREA) as connection:
            version = await check_version(self._database, name, self._key, expected)
            changed = await connection.execute(
                sa.update(self._table)
                .where(self._key == name)
                .values(**self.columns(section), version=version + 1, updated_at=now)
                .returning(self._table)
            )
            return self._definition(changed.mappings().one())

    async def delete(self, name: str, expected: int | None = None) -> None:
        """See `Definitions.delete`."""
        async with self._database.write(_AREA) as connection:
            await check_version(self._database, name, self._key, expected)
            await connection.execute(sa.delete(self._table).where(self._key == name))

    def _definition(self, row: sa.RowMapping) -> Definition:
        section = row["definition"]
        return definition_of(
            row[self._key.name], self.section(row) if section is None else section, row
        )
