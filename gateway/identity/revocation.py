"""Revoking: in this host's segment at once, on other hosts by way of the state or the store.

The segment is what workers look at. The store remembers sessions that were ended, so that a restart
of everything forgets none; the state tells other hosts within milliseconds; a file has what this
host knew, for a start without both.
"""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gateway.identity.deny_list import DenyList
from gateway.state.interface import Revocation, State

if TYPE_CHECKING:
    from gateway._core import Segment
    from gateway.store.store import Store

__all__ = ["Revoker"]


class Revoker:
    """The only writer of the segment's revocations."""

    def __init__(
        self,
        segment: "Segment",
        state: State,
        token_life_s: Callable[[], int],
        clock: Callable[[], float] = time.time,
        deny_list: DenyList | None = None,
    ) -> None:
        """``token_life_s``: how long an access token of ours is accepted, clock skew included.

        ``deny_list``: what was revoked before this process began; it holds from now on.
        """
        self._segment = segment
        self._state = state
        self._token_life_s = token_life_s
        self._clock = clock
        self._deny_list = deny_list
        self._seen_version = 0
        self.has_followed_store = False
        """Whether it has heard what was ended in the store before this process began."""
        for revocation in () if deny_list is None else deny_list.read(int(clock())):
            self._in_segment(revocation)

    async def sessions(self, session_ids: Iterable[str]) -> None:
        """Refuse the access tokens of sessions that the store has ended."""
        until_s = int(self._clock()) + self._token_life_s()
        for session_id in session_ids:
            # A session never runs again, so everything that was issued to it is refused.
            revocation = Revocation("session", session_id, until_s, until_s)
            self._here(revocation)
            await self._state.revoke(revocation)

    async def follow_state(self) -> None:
        """Hear of what other hosts revoke, until cancelled."""
        async for revocation in self._state.revocations():
            self._here(revocation)

    async def follow_store(self, store: "Store", version: int) -> None:
        """Take over what was ended in the store up to this version. StoreUnavailable."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        life_s = self._token_life_s()
        until_s = int(self._clock()) + life_s
        # What was ended longer ago than a token lives concerns no token any more.
        recent = now - timedelta(seconds=life_s)
        ended = await store.sessions.revoked_since(self._seen_version, now, recent)
        for session in ended:
            self._here(Revocation("session", session.id, until_s, until_s))
        self._seen_version = max([version, *(session.version for session in ended)])
        self.has_followed_store = True

    def _here(self, revocation: Revocation) -> None:
        now_s = int(self._clock())
        if revocation.until_s > now_s:
            self._in_segment(revocation)
            if self._deny_list is not None:
                self._deny_list.add(revocation, now_s)

    def _in_segment(self, revocation: Revocation) -> None:
        now_s = int(self._clock())
        self._segment.revoke(
            revocation.kind, revocation.name, revocation.before_s, revocation.until_s, now_s
        )
