"""Refresh tokens: each is used once. Who uses one twice has stolen it, or was stolen from."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from gateway.store.database import Database
from gateway.store.sessions import Session, Sessions
from gateway.store.tables import refresh_tokens, sessions

__all__ = ["Expired", "RefreshTokens", "Reused", "Rotated", "Rotation", "Unknown"]


@dataclass(frozen=True)
class Rotated:
    """The old token is used up, the new one stands for it."""

    session: Session


@dataclass(frozen=True)
class Reused:
    """The token had been used before. Its session is revoked now, with all of its tokens."""

    session: Session
    ended: bool
    """Whether the session ran until now; False if it had been revoked before."""


@dataclass(frozen=True)
class Expired:
    """The token or its session is over or revoked."""

    session: Session


@dataclass(frozen=True)
class Unknown:
    """There is no such token."""


Rotation = Rotated | Reused | Expired | Unknown


class RefreshTokens:
    """The table ``refresh_tokens``. Hashes are SHA-256, 32 bytes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sessions = Sessions(database)

    async def add(
        self, token_hash: bytes, session_id: str, *, now: datetime, expires: datetime
    ) -> None:
        """The first token of a session."""
        async with self._database.write() as connection:
            await connection.execute(
                sa.insert(refresh_tokens).values(
                    token_hash=token_hash,
                    session_id=session_id,
                    created_at=now,
                    expires_at=expires,
                )
            )

    async def rotate(
        self, old_hash: bytes, new_hash: bytes, *, now: datetime, expires: datetime
    ) -> Rotation:
        """Use up the old token and add the new one, which lives until `expires`.

        Of several callers with the same old token exactly one gets `Rotated`; the next ones get
        `Reused`, and the session is revoked.
        """
        runs = sa.exists().where(
            sessions.c.id == refresh_tokens.c.session_id,
            sessions.c.revoked_at.is_(None),
            sessions.c.expires_at > now,
        )
        take = (
            sa.update(refresh_tokens)
            .where(
                refresh_tokens.c.token_hash == old_hash,
                refresh_tokens.c.used_at.is_(None),
                refresh_tokens.c.expires_at > now,
                runs,
            )
            .values(used_at=now)
            .returning(refresh_tokens.c.session_id)
        )
        async with self._database.write() as connection:
            session_id = (await connection.execute(take)).scalar_one_or_none()
            if session_id is None:
                return await self._why_not(old_hash, now)
            await self.add(new_hash, session_id, now=now, expires=expires)
            session = await self._sessions.by_id(session_id)
            assert session is not None  # the foreign key holds it
            return Rotated(session)

    async def _why_not(self, token_hash: bytes, now: datetime) -> Rotation:
        """Within the transaction of `rotate`."""
        async with self._database.write() as connection:
            found = await connection.execute(
                sa.select(refresh_tokens.c.session_id, refresh_tokens.c.used_at).where(
                    refresh_tokens.c.token_hash == token_hash
                )
            )
            token = found.one_or_none()
            if token is None:
                return Unknown()
            reused = token.used_at is not None
            ended = reused and await self._sessions.revoke(token.session_id, now)
            session = await self._sessions.by_id(token.session_id)
            assert session is not None  # the foreign key holds it
            return Reused(session, ended) if reused else Expired(session)
