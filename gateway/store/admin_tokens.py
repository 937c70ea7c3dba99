"""Tokens of the admin API: their digests and roles. The text of a token is nowhere in the store."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from gateway.store.database import Database
from gateway.store.tables import admin_tokens, store_version

__all__ = ["AdminToken", "AdminTokens"]


@dataclass(frozen=True)
class AdminToken:
    """A row of ``admin_tokens``."""

    id: str
    name: str
    role: str
    """``registrar``, ``viewer``, ``operator`` or ``admin``."""
    service: str | None
    """The one whose instances a registrar registers; None for the other roles."""
    digest: bytes
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        """Whether it lets anybody in."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class AdminTokens:
    """The table ``admin_tokens``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        token_id: str,
        digest: bytes,
        *,
        name: str,
        role: str,
        now: datetime,
        expires: datetime | None = None,
        service: str | None = None,
    ) -> AdminToken:
        """Add a token."""
        row = _row(token_id, digest, name, role, now, expires) | {"service": service}
        async with self._database.write() as connection:
            added = await connection.execute(
                sa.insert(admin_tokens).values(row).returning(admin_tokens)
            )
            return AdminToken(**added.mappings().one())

    async def create_first(
        self, token_id: str, digest: bytes, *, name: str, role: str, now: datetime
    ) -> AdminToken | None:
        """Add a token if there never was one; None if there was."""
        row = _row(token_id, digest, name, role, now, None)
        async with self._database.write() as connection:
            # The lock lets one host in at a time: only one of them prints its token.
            await connection.execute(sa.select(store_version.c.version).with_for_update())
            count = await connection.execute(sa.select(sa.func.count()).select_from(admin_tokens))
            if count.scalar_one():
                return None
            added = await connection.execute(
                sa.insert(admin_tokens).values(row).returning(admin_tokens)
            )
            return AdminToken(**added.mappings().one())

    async def by_digest(self, digest: bytes) -> AdminToken | None:
        """The token, also if it is revoked or over."""
        async with self._database.read() as connection:
            found = await connection.execute(
                sa.select(admin_tokens).where(admin_tokens.c.digest == digest)
            )
            row = found.mappings().one_or_none()
            return None if row is None else AdminToken(**row)

    async def list(self, after: str = "", limit: int = 100) -> Sequence[AdminToken]:
        """Tokens in the order of their ids, from behind `after`."""
        key = admin_tokens.c.id
        statement = sa.select(admin_tokens).where(key > after).order_by(key).limit(limit)
        async with self._database.read() as connection:
            found = await connection.execute(statement)
            return [AdminToken(**row) for row in found.mappings()]

    async def revoke(self, token_id: str, now: datetime) -> bool:
        """End a token; False if there is none that is not revoked."""
        running = (admin_tokens.c.id == token_id) & admin_tokens.c.revoked_at.is_(None)
        async with self._database.write() as connection:
            ended = await connection.execute(
                sa.update(admin_tokens).where(running).values(revoked_at=now)
            )
            return ended.rowcount == 1


def _row(
    token_id: str, digest: bytes, name: str, role: str, now: datetime, expires: datetime | None
) -> dict[str, Any]:
    return {
        "id": token_id,
        "digest": digest,
        "name": name,
        "role": role,
        "created_at": now,
        "expires_at": expires,
    }
