"""Looks after the connection to the node of one lane; on it, `Calls` sends what waits there.

While the node is away nobody waits for it. One try each `PROBE_S` finds out that it is back.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from redis.exceptions import RedisError

from gateway.cext.calls import Calls
from gateway.limits.link import Link, packed

if TYPE_CHECKING:
    from gateway.cext.lane import Lane

__all__ = ["PROBE_S", "Dispatcher", "Metrics"]

SCRIPT = (Path(__file__).parent / "decide.lua").read_text()
PROBE_S = 0.25
"""Between two tries to reach Redis again: back to exact well within a second."""
FINISH_POLL_S = 0.001
COUNTERS = ("calls", "microseconds", "failures")
LOAD = packed("SCRIPT", "LOAD", SCRIPT)
FAILURES = (RedisError, OSError, TimeoutError, ValueError)

Connect = Callable[[], Awaitable[Link]]

log = logging.getLogger(__name__)


class Metrics(Protocol):
    """What the store tells its worker."""

    def limit_store_is(self, away: bool, whole: bool, hosts: int) -> None:
        """Whether all of it is away, or nothing, and how many hosts share the limits."""

    def add(self, counter: str, delta: int) -> None:
        """Raise a counter of the segment."""


class Dispatcher:
    """One lane's way to its node."""

    def __init__(
        self,
        make_lane: "Callable[[Callable[[], None]], Lane]",
        connect: Connect,
        metrics: Metrics,
        on_change: Callable[[str], None],
        *,
        probe: Sequence[str | bytes | int],
        nonce: str,
        wait_s: float,
        connect_s: float,
    ) -> None:
        """`make_lane` makes the lane from what it calls when something waits.

        ``nonce``: a text that no other dispatcher has. An answer later than `wait_s` is lost.

        `probe` is a command that writes to the node and answers a number: who does can decide.

        `on_change` is told when the node goes away, with the reason, and with "" when it is back.
        """
        self.calls = Calls(make_lane, LOAD, nonce, wait_s, self.lose)
        self._connect = connect
        self._metrics = metrics
        self._on_change = on_change
        self._probe = probe
        self._wait_s = wait_s
        self._connect_s = connect_s
        self._told = (0, 0, 0)
        """What the metrics know of already."""

    @property
    def lane(self) -> "Lane":
        """What waits."""
        return self.calls.lane

    @property
    def link(self) -> Link | None:
        """None while the node is away."""
        return cast("Link | None", self.calls.link)

    async def run(self) -> None:
        """Connect, and connect again, until cancelled."""
        patience = asyncio.get_running_loop().call_later(self._wait_s, self._not_yet)
        while True:
            if (found := await self._try()) is not None:
                patience.cancel()
                link, sha = found
                self._found(link, sha)
                await link.closed
                self.lose(ConnectionResetError("the connection is lost"))
            await asyncio.sleep(PROBE_S)

    async def _try(self) -> tuple[Link, bytes] | None:
        """A connection on which questions can be asked, and the name of the script there."""
        link: Link | None = None
        try:
            async with asyncio.timeout(self._connect_s):
                link = await self._connect()
                sha: bytes = await link.ask("SCRIPT", "LOAD", SCRIPT)
                # It may take a script and still no writes: full memory, a replica.
                await link.ask(*self._probe)
                ready, link = link, None
                return ready, sha
        except Exception as error:
            self._failed(error)
        finally:
            if link is not None:
                link.close()
        return None

    async def probe(self) -> int | None:
        """What the node answers to the probe, or None: it is away."""
        if self.link is None:
            return None
        try:
            async with asyncio.timeout(self._wait_s):
                return int(await self.link.ask(*self._probe))
        except Exception as error:
            self._failed(error)
        return None

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, FAILURES):
            log.error("Redis cannot be asked, for a reason that nothing foresaw", exc_info=error)
        self.lose(error)

    def _found(self, link: Link, sha: bytes) -> None:
        if self.lane.away:
            self.lane.away = False
            self._on_change("")
        self.calls.begin(link, sha)

    async def finish(self) -> None:
        """Until nothing waits, or the node is away."""
        while self.link is not None and not self.calls.is_idle:
            await asyncio.sleep(FINISH_POLL_S)

    def close(self) -> None:
        """Whoever waits decides alone."""
        self.lane.away = True
        self._leave()

    def lose(self, error: Exception) -> None:
        """The node does not answer, or not in time."""
        if not self.lane.away:
            self.lane.away = True
            self._on_change(str(error) or self._unnamed(error))
        self._leave()

    def _unnamed(self, error: Exception) -> str:
        """Of asyncio's deadlines."""
        if isinstance(error, TimeoutError):
            return f"no answer in time (state.limit_timeout: {1000 * self._wait_s:.0f} ms)"
        return type(error).__name__

    def report(self) -> None:
        """Raise the counters by what has happened since the last time: not one by one, it costs."""
        calls = self.calls
        now = (calls.made, int(1e6 * calls.seconds), calls.failures)
        for name, seen, told in zip(COUNTERS, now, self._told, strict=True):
            self._metrics.add(f"rate_limit_store_{name}_total", seen - told)
        self._told = now

    def _leave(self) -> None:
        link = self.link
        self.calls.end()
        self.report()
        if link is not None:
            link.close()

    def _not_yet(self) -> None:
        if self.link is None:
            self.lose(TimeoutError("it cannot be reached"))
