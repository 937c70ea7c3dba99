"""Switching the second factor on and off. Each step asks for more than an access token."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from gateway.identity.login import Attempt, Login, LoginRefusal
from gateway.identity.mfa import accepted_step, new_recovery_codes, new_secret, provisioning_uri
from gateway.state.interface import State

if TYPE_CHECKING:
    from gateway.store.store import Store

__all__ = ["Enrolment", "Mfa", "MfaRefusal"]

PENDING_S = 600
"""How long a secret waits to be confirmed: time to find the phone."""
CONFIRM_TRIES = 10
"""For one secret."""


@dataclass(frozen=True)
class MfaRefusal:
    """Why not."""

    code: Literal[
        "invalid_credentials", "mfa_required", "mfa_invalid", "login_locked",
        "mfa_enabled", "mfa_not_enabled", "mfa_not_pending",
    ]  # fmt: skip
    retry_after_s: int | None = None


@dataclass(frozen=True)
class Enrolment:
    """What an authenticator app needs."""

    secret: str
    uri: str


class Mfa:
    """The second factor of users who are logged in."""

    def __init__(
        self,
        store: "Callable[[], Store]",
        state: State,
        login: Login,
        issuer: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._state = state
        self._login = login
        self._issuer = issuer
        self._clock = clock

    async def enrol(self, user_id: str, password: str, address: str) -> Enrolment | MfaRefusal:
        """A new secret, which counts once it is confirmed. A stolen token alone gets none."""
        user = await self._store().users.by_id(user_id)
        if user is None:
            return MfaRefusal("invalid_credentials")
        if user.mfa_secret is not None:
            return MfaRefusal("mfa_enabled")
        checked = await self._login.check(Attempt(user.email, password, None, address))
        if isinstance(checked, LoginRefusal):
            return MfaRefusal(checked.code, checked.retry_after_s)
        secret = new_secret()
        await self._state.put("codes", _pending(user_id), {"secret": secret}, PENDING_S)
        await self._state.forget("logins", _pending(user_id))
        return Enrolment(secret, provisioning_uri(secret, user.email, self._issuer))

    async def confirm(self, user_id: str, code: str) -> list[str] | MfaRefusal:
        """Switch it on, with the first code of the app. Returns recovery codes, shown only here."""
        tries = await self._state.count("logins", _pending(user_id), PENDING_S)
        if tries > CONFIRM_TRIES:
            return MfaRefusal("login_locked", PENDING_S)
        pending = await self._state.get("codes", _pending(user_id))
        if pending is None:
            return MfaRefusal("mfa_not_pending")
        secret = pending["secret"]
        step = accepted_step(secret, code, int(self._clock()), 0)
        if step is None:
            return MfaRefusal("mfa_invalid")
        if await self._state.take("codes", _pending(user_id)) != pending:
            return MfaRefusal("mfa_not_pending")  # confirmed, or enrolled anew, a moment ago
        codes = new_recovery_codes()
        now = datetime.fromtimestamp(self._clock(), UTC)
        digests = [digest.hex() for digest in codes.digests]
        store = self._store()
        async with store.transaction():
            await store.users.set_mfa(user_id, secret, digests, now)
            await store.users.accept_totp_step(user_id, step)  # this code was seen: it is used up
        return codes.texts

    async def disable(
        self, user_id: str, password: str, code: str, address: str
    ) -> MfaRefusal | None:
        """Switch it off. Asks for both factors once more."""
        user = await self._store().users.by_id(user_id)
        if user is None:
            return MfaRefusal("invalid_credentials")
        if user.mfa_secret is None:
            return MfaRefusal("mfa_not_enabled")
        checked = await self._login.check(Attempt(user.email, password, code, address))
        if isinstance(checked, LoginRefusal):
            return MfaRefusal(checked.code, checked.retry_after_s)
        now = datetime.fromtimestamp(self._clock(), UTC)
        await self._store().users.set_mfa(user_id, None, [], now)
        return None


def _pending(user_id: str) -> str:
    return f"mfa:{user_id}"
