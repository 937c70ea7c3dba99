"""Sessions: what a login began. Its refresh tokens are one family."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from gateway.store.database import Database
from gateway.store.errors import Conflict
from gateway.store.tables import sessions, users

__all__ = ["RevokedSession", "Session", "Sessions"]


@dataclass(frozen=True)
class Session:
    """A row of ``sessions``."""

    id: str
    user_id: str
    client: str | None
    """The client that the user logged in with; None without one."""
    scopes: tuple[str, ...]
    fingerprint_hash: str | None
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    revoked_version: int | None
    """The store's version at the revocation."""


@dataclass(frozen=True)
class RevokedSession:
    """What a process needs to refuse the session's tokens."""

    id: str
    expires_at: datetime
    version: int


class Sessions:
    """The table ``sessions``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        session_id: str,
        user_id: str,
        *,
        now: datetime,
        expires: datetime,
        client: str | None = None,
        scopes: Iterable[str] = (),
        fingerprint_hash: str | None = None,
    ) -> Session:
        """Begin a session. Conflict if the id exists or the user does not."""
        row = {
            "id": session_id,
            "user_id": user_id,
            "client": client,
            "scopes": tuple(scopes),
            "fingerprint_hash": fingerprint_hash,
            "created_at": now,
            "expires_at": expires,
        }
        owner = sa.select(users.c.id).where(users.c.id == user_id)
        async with self._database.write() as connection:
            if (await connection.execute(owner)).scalar_one_or_none() is None:
                raise Conflict(f"there is no user {user_id}")
            added = await connection.execute(sa.insert(sessions).values(row).returning(sessions))
            return Session(**added.mappings().one())

    async def by_id(self, session_id: str) -> Session | None:
        """The session, also if it is revoked or over."""
        async with self._database.read() as connection:
            found = await connection.execute(sa.select(sessions).where(sessions.c.id == session_id))
            row = found.mappings().one_or_none()
            return None if row is None else Session(**row)

    async def list(
        self, user_id: str | None = None, after: str = "", limit: int = 100
    ) -> Sequence[Session]:
        """Sessions in the order of their ids, from behind `after`; of one user if named."""
        statement = sa.select(sessions).where(sessions.c.id > after).order_by(sessions.c.id)
        if user_id is not None:
            statement = statement.where(sessions.c.user_id == user_id)
        async with self._database.read() as connection:
            found = await connection.execute(statement.limit(limit))
            return [Session(**row) for row in found.mappings()]

    async def is_revoked(self, session_id: str) -> bool:
        """True also for a session that does not exist (any more)."""
        session = await self.by_id(session_id)
        return session is None or session.revoked_at is not None

    async def revoke(self, session_id: str, now: datetime) -> bool:
        """End a session; False if there is none that runs."""
        return bool(await self._revoke(sessions.c.id == session_id, now))

    async def revoke_all_of_user(self, user_id: str, now: datetime) -> Sequence[str]:
        """End all sessions of a user; returns the ids of those that ran."""
        return await self._revoke(sessions.c.user_id == user_id, now)

    async def revoked_since(
        self, version: int, now: datetime, revoked_after: datetime | None = None
    ) -> Sequence[RevokedSession]:
        """Revoked after this version of the store and not yet over, in order; 0 for all.

        ``revoked_after`` leaves out what was revoked before.
        """
        wanted = (sessions.c.revoked_version > version) & (sessions.c.expires_at > now)
        if revoked_after is not None:
            wanted &= sessions.c.revoked_at > revoked_after
        statement = sa.select(sessions.c.id, sessions.c.expires_at, sessions.c.revoked_version)
        statement = statement.where(wanted).order_by(sessions.c.revoked_version)
        async with self._database.read() as connection:
            return [RevokedSession(*row) for row in await connection.execute(statement)]

    async def purge_expired(self, now: datetime) -> int:
        """Forget sessions that are over, with their tokens; returns how many."""
        async with self._database.write() as connection:
            gone = await connection.execute(sa.delete(sessions).where(sessions.c.expires_at <= now))
            return gone.rowcount

    async def _revoke(self, condition: sa.ColumnElement[bool], now: datetime) -> Sequence[str]:
        running = condition & sessions.c.revoked_at.is_(None)
        async with self._database.write() as connection:
            version = await self._database.bump(connection, "sessions")
            ended = await connection.execute(
                sa.update(sessions)
                .where(running)
                .values(revoked_at=now, revoked_version=version)
                .returning(sessions.c.id)
            )
            return list(ended.scalars())
