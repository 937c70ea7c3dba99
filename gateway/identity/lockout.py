"""Against guessing: tries are counted for each account and each address, slowed down, then refused.

A try is counted before the password is looked at, so that a thousand at once are a thousand tries.
Accounts that do not exist are counted like those that do: nobody learns which is which.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from ipaddress import ip_network

from gateway.state.interface import State
from gateway.store.emails import canonical

__all__ = ["Limits", "Locked", "Lockout"]

FIRST_DELAY_S = 0.25
IPV6_PREFIX = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """How many tries there are; see ``auth.lockout`` in the configuration."""

    attempts: int
    address_attempts: int
    window_s: int
    delay_after: int
    max_delay_s: float


@dataclass(frozen=True, slots=True)
class Locked:
    """No try is left."""

    retry_after_s: int


class Lockout:
    """Counts in the shared state. StateUnavailable where that says so."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def begin(self, account: str, address: str, limits: Limits) -> Locked | None:
        """Count a try, and wait as long as it has to wait.

        From an address that has none left no account is counted: it could lock out all of them.
        """
        if await self._count(_address(address), limits) > limits.address_attempts:
            return Locked(limits.window_s)
        tries = await self._count(_account(account), limits)
        if tries > limits.attempts:
            return Locked(limits.window_s)
        doublings = tries - limits.delay_after
        if doublings >= 0:
            await asyncio.sleep(min(FIRST_DELAY_S * 2.0 ** min(doublings, 16), limits.max_delay_s))
        return None

    async def succeeded(self, account: str, address: str, limits: Limits) -> None:
        """The try was a good one: the account's are forgotten, the address' is taken back."""
        await self._state.forget("logins", _account(account))
        await self._state.count("logins", _address(address), limits.window_s, by=-1)

    async def undecided(self, account: str, address: str, limits: Limits) -> None:
        """Nobody looked at the try: it is taken back, so that an outage locks nobody out."""
        for key in (_account(account), _address(address)):
            await self._state.count("logins", key, limits.window_s, by=-1)

    async def _count(self, key: str, limits: Limits) -> int:
        return await self._state.count("logins", key, limits.window_s)


def _account(name: str) -> str:
    """Hashed: whoever reads the state's keys does not learn who logs in; and of bounded length."""
    return f"account:{hashlib.sha256(canonical(name).encode()).hexdigest()[:32]}"


def _address(address: str) -> str:
    """Of IPv6 the network: a subscriber has one, and another address of it for each try."""
    if ":" in address:
        address = str(ip_network((address, IPV6_PREFIX), strict=False).network_address)
    return f"address:{address}"
