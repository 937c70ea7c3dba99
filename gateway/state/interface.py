"""What every backend of the state does. One suite of tests holds them all to it.

Everything here may be lost: what must survive is in the store. Nothing here is asked on a request's
way: revocations are pushed to the shared segment, the rest belongs to logins and look-ups.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["Revocation", "RevocationKind", "Space", "State", "StateUnavailable"]

Space = Literal["api_keys", "circuit_breaker", "codes", "logins"]
"""Kinds of entries, and the beginning of their names in Redis."""

RevocationKind = Literal["session", "user", "client", "key"]


class StateUnavailable(Exception):
    """The backend did not answer in time, and its stance is to refuse."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """What was issued to `name` before `before_s` is refused; after `until_s` all of it is over."""

    kind: RevocationKind
    name: str
    before_s: int
    """Unix time, as all times here."""
    until_s: int


class State(Protocol):
    """A backend."""

    async def put(self, space: Space, key: str, fields: Mapping[str, str], ttl_s: int) -> None:
        """Keep the fields under the key for a time, instead of what was there."""

    async def get(self, space: Space, key: str) -> dict[str, str] | None:
        """The fields; None if there are none (any more)."""

    async def take(self, space: Space, key: str) -> dict[str, str] | None:
        """The fields, and forget them: of any number of callers one gets them."""

    async def forget(self, space: Space, key: str) -> None:
        """Forget the key, counter or fields."""

    async def count(self, space: Space, key: str, window_s: int, by: int = 1) -> int:
        """Add to a counter that begins at 0 and ends `window_s` after its first use."""

    async def revoke(self, revocation: Revocation) -> None:
        """Tell all hosts. Never fails: what cannot be told now is told when it can be."""

    def revocations(self) -> AsyncIterator[Revocation]:
        """Those in force, then each as it comes, from every host; again, perhaps, never too few."""

    async def close(self) -> None:
        """Let go of connections."""
