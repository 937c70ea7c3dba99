"""What stored routes, services and policies have in common: a name and a section of configuration.

Whether the section is valid is not the store's business: it may have been written by a newer
gateway or by hand. Who reads it checks it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa

from gateway.store.database import Database
from gateway.store.errors import NotFound, Superseded

__all__ = ["Definition", "Definitions", "check_version"]


@dataclass(frozen=True)
class Definition:
    """A route, service or policy as the configuration file would write it."""

    name: str
    section: Any
    """The mapping under the name; whatever a hand has written, if it is not valid."""
    version: int
    created_at: datetime
    updated_at: datetime


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
