"""The ``store`` section: where users, keys, sessions and stored routes are kept."""

from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import PlainSerializer, PlainValidator

from gateway.config.section import Section
from gateway.config.values import text_schema

DEFAULT_URL = "sqlite:///gateway.db"
EXPECTED = "must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
"""The messages do not repeat the value: it may hold a password."""


def parse_store_url(value: object) -> str:
    """``sqlite:///gateway.db`` or ``postgresql://…``, as it is written."""
    if not isinstance(value, str):
        raise ValueError(EXPECTED)
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises for what is no port
    except ValueError:
        raise ValueError(f"{EXPECTED}; this is no URL") from None
    if parts.scheme == "sqlite":
        _check_sqlite(parts)
    elif parts.scheme in ("postgresql", "postgres"):
        if parts.path in ("", "/"):
            raise ValueError("needs the name of a database: postgresql://USER@HOST/DATABASE")
    elif parts.scheme.startswith(("postgresql+", "sqlite+")):
        raise ValueError(f"{EXPECTED}; leave the driver out ({parts.scheme})")
    else:
        raise ValueError(EXPECTED)
    return value


def _check_sqlite(parts: SplitResult) -> None:
    if parts.netloc:
        raise ValueError(
            "needs three slashes before a relative path and four before an absolute one: "
            "sqlite:///gateway.db, sqlite:////var/lib/gateway/gateway.db"
        )
    if parts.query or parts.fragment:
        raise ValueError("a sqlite URL has no query or fragment")
    if parts.path in ("", "/", "/:memory:"):
        raise ValueError("needs a file: a database in memory would be gone with its process")


def sqlite_file(url: str) -> Path | None:
    """The database's file; None for PostgreSQL."""
    prefix = "sqlite:///"
    return Path(url.removeprefix(prefix)) if url.startswith(prefix) else None


def masked_url(url: str) -> str:
    """The URL with its password as asterisks, and without a query, which may hold another."""
    parts = urlsplit(url)
    account, at, place = parts.netloc.rpartition("@")
    user, colon, _ = account.partition(":")
    secret = "***" if colon else ""
    return f"{parts.scheme}://{user}{colon}{secret}{at}{place}{parts.path}"


StoreUrl = Annotated[
    str,
    PlainValidator(parse_store_url),
    PlainSerializer(masked_url),
    text_schema("URL", "(sqlite|postgresql|postgres)://.+"),
]


class Store(Section):
    """Where users, keys, sessions, and the stored routes, services and policies are kept."""

    url: StoreUrl = DEFAULT_URL
    """`sqlite:///FILE` (made when missing), or `postgresql://USER:PASSWORD@HOST/DATABASE`."""
