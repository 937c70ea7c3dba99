"""Sessions: begun by a login, carried on by refresh tokens, ended by a logout or by a theft."""

import logging
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gateway.identity.revocation import Revoker
from gateway.identity.scopes import intersect
from gateway.identity.tokens import (
    TokenIssuer,
    fingerprint_claim,
    new_refresh_token,
    refresh_digest,
)

if TYPE_CHECKING:
    from gateway.store.sessions import Session
    from gateway.store.store import Store
    from gateway.store.users import User

__all__ = ["Lifetimes", "Sessions", "TokenPair"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TokenPair:
    """What a client gets."""

    access_token: str
    refresh_token: str
    expires_in_s: int


@dataclass(frozen=True)
class Lifetimes:
    """In seconds."""

    refresh_s: float
    session_s: float


class Sessions:
    """Makes token pairs."""

    def __init__(
        self,
        store: "Callable[[], Store]",
        issuer: TokenIssuer,
        lifetimes: Lifetimes,
        revoker: Revoker,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._issuer = issuer
        self._lifetimes = lifetimes
        self._revoker = revoker
        self._clock = clock

    async def begin(self, checked: "User", fingerprint: str | None) -> TokenPair | None:
        """A new session of a user who has shown who he is.

        None if he has been changed since he was `checked`: a password waits to be looked at for
        seconds, and who disables him meanwhile, or resets his password, must not miss a session.
        """
        store, now = self._store(), self._now()
        session_id = secrets.token_urlsafe(24)
        refresh = new_refresh_token()
        ends = now + timedelta(seconds=self._lifetimes.session_s)
        async with store.transaction():
            user = await store.users.hold(checked.id)
            if user is None or not _is_still(checked, user):
                return None
            await store.sessions.create(
                session_id,
                user.id,
                now=now,
                expires=ends,
                scopes=user.scopes,
                fingerprint_hash=None if fingerprint is None else fingerprint_claim(fingerprint),
            )
            await store.refresh_tokens.add(
                refresh.digest, session_id, now=now, expires=self._refresh_ends(now)
            )
        return self._pair(user.id, session_id, user.scopes, refresh.text, fingerprint)

    async def refresh(self, text: str, fingerprint: str | None) -> TokenPair | None:
        """A new pair for a refresh token, which is used up by it; None if it is not good.

        A token that comes a second time was stolen, now or before: its session ends.
        """
        from gateway.store.refresh_tokens import Reused, Rotated

        digest = refresh_digest(text)
        if digest is None:
            return None
        store, now = self._store(), self._now()
        new = new_refresh_token()
        rotation = await store.refresh_tokens.rotate(
            digest, new.digest, now=now, expires=self._refresh_ends(now)
        )
        if isinstance(rotation, Reused) and rotation.ended:
            await self._stolen(rotation.session, "a refresh token was used twice")
        if not isinstance(rotation, Rotated):
            return None
        session = rotation.session
        user = await store.users.by_id(session.user_id)
        if user is None or user.disabled:
            await self.end(session.id)
            return None
        if not _is_bound_to(session, fingerprint):
            await self._stolen(session, "a refresh token came from another client")
            return None
        # A scope that was taken from the user meanwhile is gone; one that he got is not added.
        scopes = intersect(session.scopes, user.scopes)
        return self._pair(user.id, session.id, scopes, new.text, fingerprint)

    async def end(self, session_id: str) -> None:
        """Log out of one session."""
        await self._store().sessions.revoke(session_id, self._now())
        await self._revoker.sessions([session_id])

    async def end_all(self, user_id: str) -> None:
        """Log out everywhere."""
        ended = await self._store().sessions.revoke_all_of_user(user_id, self._now())
        await self._revoker.sessions(ended)

    async def _stolen(self, session: "Session", what: str) -> None:
        log.warning(
            "%s: its session is revoked", what,
            extra={"session": session.id, "user": session.user_id},
        )  # fmt: skip
        await self.end(session.id)

    def _pair(
        self,
        user: str,
        session: str,
        scopes: Iterable[str],
        refresh: str,
        fingerprint: str | None,
    ) -> TokenPair:
        now_s = int(self._clock())
        access = self._issuer.access_token(user, session, scopes, now_s, fingerprint=fingerprint)
        return TokenPair(access, refresh, self._issuer.ttl_s)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _refresh_ends(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self._lifetimes.refresh_s)


def _is_still(checked: "User", now: "User") -> bool:
    """Whether what he has shown would let him in now, too."""
    return (
        not now.disabled
        and now.password_hash == checked.password_hash
        and now.mfa_secret == checked.mfa_secret
    )


def _is_bound_to(session: "Session", fingerprint: str | None) -> bool:
    if session.fingerprint_hash is None:
        return fingerprint is None
    return fingerprint is not None and fingerprint_claim(fingerprint) == session.fingerprint_hash
