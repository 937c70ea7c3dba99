"""Users: who may log in."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from gateway.store.database import Area, Database
from gateway.store.emails import normalise_email
from gateway.store.errors import NotFound, Superseded
from gateway.store.tables import recovery_codes, users

__all__ = ["User", "Users"]

_AREA: Area = "credentials"


@dataclass(frozen=True)
class User:
    """A row of ``users``."""

    id: str
    email: str
    """Normalised, see `normalise_email`."""
    password_hash: str
    scopes: tuple[str, ...]
    disabled: bool
    mfa_secret: str | None
    """The TOTP secret; None without MFA."""
    last_totp_step: int
    """The newest step that was accepted: it and all before it are used up."""
    version: int
    """Grows with each change of what an administrator sees; not with logins."""
    created_at: datetime
    updated_at: datetime


class Users:
    """The table ``users`` and the recovery codes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, email: str, password_hash: str, scopes: Iterable[str], now: datetime
    ) -> User:
        """Add a user. ValueError for what is no address, Conflict if there is one with it."""
        row = {
            "id": str(uuid.uuid4()),
            "email": normalise_email(email),
            "password_hash": password_hash,
            "scopes": tuple(scopes),
            "created_at": now,
            "updated_at": now,
        }
        async with self._database.write(_AREA) as connection:
            added = await connection.execute(sa.insert(users).values(row).returning(users))
            return User(**added.mappings().one())

    async def by_email(self, email: str) -> User | None:
        """The user with this address, in whatever case it is written."""
        try:
            normal = normalise_email(email)
        except ValueError:
            return None
        return await self._one(users.c.email == normal)

    async def by_id(self, user_id: str) -> User | None:
        """The user."""
        return await self._one(users.c.id == user_id)

    async def list(self, after: str = "", limit: int = 100) -> Sequence[User]:
        """Users in the order of their addresses, from behind `after`."""
        statement = sa.select(users).where(users.c.email > after).order_by(users.c.email)
        async with self._database.read() as connection:
            found = await connection.execute(statement.limit(limit))
            return [User(**row) for row in found.mappings()]

    async def hold(self, user_id: str) -> User | None:
        """The user, who stays as he is until the transaction around this ends."""
        statement = sa.select(users).where(users.c.id == user_id).with_for_update(read=True)
        async with self._database.write() as connection:
            row = (await connection.execute(statement)).mappings().one_or_none()
            return None if row is None else User(**row)

    async def rehash(self, user: User, password_hash: str) -> User:
        """Keep another hash of the same password; not if the password is another by now."""
        same = (users.c.id == user.id) & (users.c.password_hash == user.password_hash)
        statement = sa.update(users).where(same).values(password_hash=password_hash)
        async with self._database.write() as connection:
            changed = (await connection.execute(statement)).rowcount == 1
        return replace(user, password_hash=password_hash) if changed else user

    async def change(
        self, user_id: str, now: datetime, expected: int | None = None, **columns: Any
    ) -> User:
        """Change columns. With `expected`: Superseded if that is not the version any more."""
        statement = (
            sa.update(users)
            .where(users.c.id == user_id)
            .values(**columns, version=users.c.version + 1, updated_at=now)
            .returning(users)
        )
        if expected is not None:
            statement = statement.where(users.c.version == expected)
        async with self._database.write(_AREA) as connection:
            changed = (await connection.execute(statement)).mappings().one_or_none()
            if changed is None:
                raise await self._why_not(user_id)
            return User(**changed)

    async def delete(self, user_id: str, expected: int | None = None) -> None:
        """Remove the user with all keys; sessions stay till they are over. NotFound, Superseded."""
        statement = sa.delete(users).where(users.c.id == user_id)
        if expected is not None:
            statement = statement.where(users.c.version == expected)
        async with self._database.write(_AREA) as connection:
            if (await connection.execute(statement)).rowcount != 1:
                raise await self._why_not(user_id)

    async def _why_not(self, user_id: str) -> NotFound | Superseded:
        """Within the transaction that found no row to change."""
        current = await self.by_id(user_id)
        if current is None:
            return NotFound(f"there is no user {user_id}")
        return Superseded(current.version)

    # --- second factor -----------------------------------------------------------------------

    async def set_mfa(
        self, user_id: str, secret: str | None, recovery_hashes: Iterable[str], now: datetime
    ) -> User:
        """Replace TOTP secret and recovery codes; None and no codes switch MFA off."""
        rows = [{"user_id": user_id, "code_hash": code} for code in set(recovery_hashes)]
        async with self._database.write(_AREA) as connection:
            user = await self.change(user_id, now, mfa_secret=secret, last_totp_step=0)
            await connection.execute(
                sa.delete(recovery_codes).where(recovery_codes.c.user_id == user_id)
            )
            if rows:
                await connection.execute(sa.insert(recovery_codes), rows)
            return user

    async def use_recovery_code(self, user_id: str, code_hash: str) -> bool:
        """Use up a code; True for exactly one of any number of callers."""
        mine = (recovery_codes.c.user_id == user_id) & (recovery_codes.c.code_hash == code_hash)
        async with self._database.write() as connection:
            return (await connection.execute(sa.delete(recovery_codes).where(mine))).rowcount == 1

    async def recovery_codes_left(self, user_id: str) -> int:
        """How many codes are not used up."""
        count = sa.select(sa.func.count()).where(recovery_codes.c.user_id == user_id)
        async with self._database.read() as connection:
            return int((await connection.execute(count)).scalar_one())

    async def accept_totp_step(self, user_id: str, step: int) -> bool:
        """Use up this step and all before it; False if it was used (a replay)."""
        newer = (users.c.id == user_id) & (users.c.last_totp_step < step)
        async with self._database.write() as connection:
            taken = await connection.execute(
                sa.update(users).where(newer).values(last_totp_step=step)
            )
            return taken.rowcount == 1

    async def _one(self, condition: sa.ColumnElement[bool]) -> User | None:
        async with self._database.read() as connection:
            found = (await connection.execute(sa.select(users).where(condition))).mappings()
            row = found.one_or_none()
            return None if row is None else User(**row)
