"""Logging in: password, second factor, and what makes guessing hopeless."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gateway.identity.lockout import Limits, Locked, Lockout
from gateway.identity.mfa import accepted_step, recovery_digest
from gateway.identity.passwords import Busy, Checked, Passwords
from gateway.state.interface import StateUnavailable

if TYPE_CHECKING:
    from gateway.store.store import Store
    from gateway.store.users import User

__all__ = ["Attempt", "Login", "LoginRefusal"]


@dataclass(frozen=True)
class LoginRefusal:
    """Why somebody is not let in, as far as he is told."""

    code: Literal["invalid_credentials", "mfa_required", "mfa_invalid", "login_locked"]
    retry_after_s: int | None = None


@dataclass(frozen=True)
class Attempt:
    """One try."""

    email: str
    password: str
    mfa_token: str | None
    address: str


class Login:
    """Finds out whether somebody is who he says."""

    def __init__(
        self,
        store: "Callable[[], Store]",
        passwords: Passwords,
        lockout: Lockout,
        limits: Limits,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``store`` raises StoreUnavailable while there is none."""
        self._store = store
        self._passwords = passwords
        self._lockout = lockout
        self._limits = limits
        self._clock = clock

    async def check(self, attempt: Attempt) -> "User | LoginRefusal":
        """The user, or why not. StoreUnavailable, StateUnavailable, Busy.

        An unknown or disabled user gets the answer of a wrong password, and as late.
        """
        from gateway.store.errors import StoreUnavailable

        limits = self._limits
        locked = await self._lockout.begin(attempt.email, attempt.address, limits)
        if isinstance(locked, Locked):
            return LoginRefusal("login_locked", locked.retry_after_s)
        try:
            user, checked = await self._first_factor(attempt)
        except (Busy, StoreUnavailable):
            with contextlib.suppress(StateUnavailable):
                await self._lockout.undecided(attempt.email, attempt.address, limits)
            raise
        if user is None or not checked.ok:
            return LoginRefusal("invalid_credentials")
        if user.mfa_secret is not None:
            if attempt.mfa_token is None:
                return LoginRefusal("mfa_required")
            if not await self._second_factor(user, user.mfa_secret, attempt.mfa_token):
                return LoginRefusal("mfa_invalid")
        await self._lockout.succeeded(attempt.email, attempt.address, limits)
        if checked.rehashed is not None:
            return await self._store().users.rehash(user, checked.rehashed)
        return user

    async def _first_factor(self, attempt: Attempt) -> "tuple[User | None, Checked]":
        user = await self._store().users.by_email(attempt.email)
        known = user is not None and not user.disabled
        stored = user.password_hash if user is not None and known else None
        return user, await self._passwords.check(stored, attempt.password)

    async def _second_factor(self, user: "User", secret: str, token: str) -> bool:
        """A one-time password or a recovery code, either of them not used before."""
        step = accepted_step(secret, token, int(self._clock()), user.last_totp_step)
        if step is not None:
            return await self._store().users.accept_totp_step(user.id, step)
        digest = recovery_digest(token)
        if digest is None:
            return False
        return await self._store().users.use_recovery_code(user.id, digest.hex())
