"""Column types that SQLite and PostgreSQL share, and the values that Python sees."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

__all__ = ["Document", "Names", "Utc"]

Document = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""A JSON value."""


class Utc(sa.TypeDecorator[datetime]):
    """A moment, always in UTC. A time without a zone is refused: nobody can say when it was."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """To UTC; SQLite keeps no zone, so that everything in it is UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time in the store needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """What SQLite answers has no zone; it is UTC."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class Names(sa.TypeDecorator[tuple[str, ...]]):
    """A set of names such as scopes: a JSON list in the database, a tuple in Python."""

    impl = Document
    cache_ok = True

    def process_bind_param(self, value: Iterable[str] | None, dialect: sa.Dialect) -> Any:
        """Sorted and without duplicates, so that equal sets are equal rows."""
        return None if value is None else sorted(set(value))

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> tuple[str, ...] | None:
        """A row that was written by hand may hold anything."""
        return tuple(map(str, value)) if isinstance(value, list) else ()
