"""Acts on users and their sessions."""

from collections.abc import Iterable
from typing import Any

from gateway.administration.desk import Desk
from gateway.administration.views import SessionView, UserView
from gateway.store.errors import NotFound
from gateway.store.sessions import Session
from gateway.store.users import User

__all__ = [
    "change_user",
    "create_user",
    "delete_user",
    "revoke_session",
    "revoke_sessions_of",
    "session_view",
    "user_of",
    "user_view",
]


def user_view(user: User) -> UserView:
    """Without password and TOTP secret."""
    fields = {**vars(user), "mfa": user.mfa_secret is not None}
    return UserView.model_validate(fields)


def session_view(session: Session) -> SessionView:
    """Without the fingerprint."""
    return SessionView.model_validate(session)


async def user_of(desk: Desk, name: str) -> User:
    """The user with this id or address. NotFound."""
    found = await desk.store.users.by_id(name) or await desk.store.users.by_email(name)
    if found is None:
        raise NotFound(f"there is no user {name}")
    return found


async def create_user(
    desk: Desk, email: str, password_hash: str, scopes: Iterable[str]
) -> UserView:
    """Add a user. ValueError for what is no address, Conflict if it is taken."""
    async with desk.adding(f"a user {email}"):
        user = await desk.store.users.create(email, password_hash, scopes, desk.now)
        await desk.record("user.create", user.email, after=user_view(user))
    return user_view(user)


async def change_user(
    desk: Desk, name: str, expected: int | None = None, **columns: Any
) -> UserView:
    """Change ``scopes``, ``disabled``, ``password_hash``. NotFound, Superseded.

    Who is disabled, or gets another password, is logged out everywhere.
    """
    async with desk.store.transaction():
        before = await user_of(desk, name)
        after = await desk.store.users.change(before.id, desk.now, expected, **columns)
        if after.disabled or "password_hash" in columns:
            await desk.store.sessions.revoke_all_of_user(before.id, desk.now)
        action = "user.set_password" if "password_hash" in columns else "user.change"
        await desk.record(action, after.email, user_view(before), user_view(after))
    return user_view(after)


async def delete_user(desk: Desk, name: str, expected: int | None = None) -> None:
    """Remove a user with all keys and sessions. NotFound, Superseded."""
    async with desk.store.transaction():
        user = await user_of(desk, name)
        await desk.store.sessions.revoke_all_of_user(user.id, desk.now)
        await desk.store.users.delete(user.id, expected)
        await desk.record("user.delete", user.email, before=user_view(user))


async def revoke_session(desk: Desk, session_id: str) -> None:
    """Log out one session. NotFound if none runs."""
    async with desk.store.transaction():
        if not await desk.store.sessions.revoke(session_id, desk.now):
            raise NotFound(f"there is no session {session_id} that runs")
        await desk.record("session.revoke", session_id)


async def revoke_sessions_of(desk: Desk, name: str) -> int:
    """Log a user out everywhere; returns how many sessions ran. NotFound."""
    async with desk.store.transaction():
        user = await user_of(desk, name)
        ended = await desk.store.sessions.revoke_all_of_user(user.id, desk.now)
        await desk.record("user.revoke_sessions", user.email)
    return len(ended)
