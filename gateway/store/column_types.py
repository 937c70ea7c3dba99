"""Column types that SQLite and PostgreSQL share, and the values that Python sees.

Other programs write rows, too, and SQLite takes anything for a text, a time or JSON. No type here
fails for what it finds: one broken row must not keep all others from being read.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

__all__ = ["AnyDocument", "Document", "Names", "Undecoded", "Utc", "decode_json", "decode_text"]

_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Undecoded:
    """Stands where JSON should be."""

    reason: str


def decode_json(data: str | bytes) -> Any:
    """The value, or `Undecoded`."""
    try:
        return json.loads(data, parse_constant=_no_constant)
    except RecursionError:
        return Undecoded("is nested too deeply to be read")
    except ValueError as error:
        return Undecoded(f"is not JSON: {error}")


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def decode_text(data: bytes) -> str:
    """SQLite's text; bytes that are not UTF-8 are seen as what they are."""
    return data.decode(errors="backslashreplace")


class AnyDocument(sa.TypeDecorator[Any]):
    """A JSON value, or `Undecoded`."""

    impl = _JSON
    cache_ok = True


class Document(sa.TypeDecorator[Any]):
    """A JSON value; None where there is none that can be read."""

    impl = _JSON
    cache_ok = True

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Any:
        """A row that was written by hand may hold anything."""
        return None if isinstance(value, Undecoded) else value


class Utc(sa.TypeDecorator[datetime]):
    """A moment, always in UTC. A time without a zone is refused: nobody can say when it was.

    What a hand has written and is no time is long ago: whatever ends with it has ended.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """To UTC; SQLite keeps no zone, so that everything in it is UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time in the store needs a time zone")
        return value.astimezone(UTC)

    def result_processor(
        self, dialect: sa.Dialect, coltype: object
    ) -> Callable[[Any], datetime | None] | None:
        """From what the driver answers."""
        process = super().result_processor(dialect, coltype)

        def read(value: Any) -> datetime | None:
            try:
                return value if process is None else process(value)
            except (TypeError, ValueError):
                return _LONG_AGO

        return read

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """What SQLite answers has no zone; it is UTC."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


class Names(sa.TypeDecorator[tuple[str, ...]]):
    """A set of names such as scopes: a JSON list in the database, a tuple in Python."""

    impl = _JSON
    cache_ok = True

    def process_bind_param(self, value: Iterable[str] | None, dialect: sa.Dialect) -> Any:
        """Sorted and without duplicates, so that equal sets are equal rows."""
        return None if value is None else sorted(set(value))

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> tuple[str, ...] | None:
        """A row that was written by hand may hold anything."""
        return tuple(map(str, value)) if isinstance(value, list) else ()
