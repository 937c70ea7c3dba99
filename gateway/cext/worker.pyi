"""The data plane of one worker process (cext/worker.pyx)."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from gateway._core import Segment

class Worker:
    """Accepts connections, proxies by the installed plan, counts in its slot of the segment."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        segment: Segment,
        slot: int,
        plan: bytes,
        access_log: Callable[[bytes], None] | None = None,
        authenticator: Callable[[Literal["jwt", "api_key"], bytes, str, str | None], Awaitable[Any]]
        | None = None,
    ) -> None:
        """`access_log` gets whole JSON lines in batches. Raises ValueError for a bad plan.

        `authenticator(kind, credential, peer, fingerprint)` is awaited for a credential that has
        not been verified yet. It returns a caller (user, client, key, session, scopes, claims,
        issued_s, expires_s, bound) or the code of a refusal.
        """

    connections: int
    """Open downstream connections."""
    exchanges: int
    """Requests in flight."""
    draining: bool
    generation: int
    """Of the plan that new exchanges get."""

    def start(self) -> None:
        """Start the tick (100 ms): timeouts, heartbeat, gauges, log flush."""

    def share_limits(self, store: Any) -> None:
        """Take what decides about limits that all hosts share (gateway.limits.store)."""

    def limit_store_is(self, away: bool, whole: bool, hosts: int) -> None:
        """Whether all of it is away, or nothing, and how many hosts share the limits."""

    def listen(self, listening: socket.socket) -> None:
        """Accept connections from a listening, non-blocking socket, which stays the caller's."""

    def stop_listening(self) -> None:
        """Accept what is in the socket's queue already, and no more."""

    def install(self, plan: bytes) -> None:
        """Swap the plan; running exchanges keep theirs. Raises ValueError for a bad plan."""

    def forget_credentials(self) -> None:
        """What was verified so far may no longer hold: have each credential verified anew."""

    def drain(self) -> None:
        """Take no further requests: idle connections close, busy ones after their answer."""

    def take_usage(self) -> list[tuple[str, str, int]]:
        """Uses of API keys since the last call: id of the key, path of the route, requests."""

    def take_refused(self) -> list[tuple[str, str, int]]:
        """Refusals by rate limits since the last call: policy, caller, requests."""

    def close(self) -> None:
        """End every connection and the tick. The loop has to turn once more for it."""
