"""Sends the questions of one lane to its node, one call at a time, and looks after the connection.

While the node is away nobody waits for it. One try each `PROBE_S` finds out that it is back.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import hiredis
from redis.exceptions import RedisError

from gateway.limits.link import READ, Link, packed

if TYPE_CHECKING:
    from gateway.cext.lane import Batch, Lane

__all__ = ["FAILURES", "Dispatcher", "Metrics"]

SCRIPT = (Path(__file__).parent / "decide.lua").read_text()
PROBE_S = 0.25
"""Between two tries to reach Redis again: back to exact well within a second."""
FINISH_POLL_S = 0.001
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


@dataclass(slots=True)
class Seen:
    """What has happened, by the names of the counters."""

    calls: int = 0
    microseconds: int = 0
    failures: int = 0


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

        `probe` is a command that writes to the node: who answers it can decide.

        `on_change` is told when the node goes away, with the reason, and with "" when it is back.
        """
        self.lane = make_lane(self.wake)
        self.link: Link | None = None
        """None while the node is away."""
        self._connect = connect
        self._metrics = metrics
        self._on_change = on_change
        self._probe = probe
        self._nonce = nonce
        self._wait_s = wait_s
        self._connect_s = connect_s
        self._calls = 0
        self._seen = Seen()
        self._sha = b""
        self._asked: Batch | None = None
        self._began = 0.0
        self._retried = False
        self._due = 0.0
        self._patience: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """Something waits: send it at the end of this loop turn, with what comes until then."""
        asyncio.get_running_loop().call_soon(self._send)

    async def run(self) -> None:
        """Connect, and connect again, until cancelled."""
        patience = asyncio.get_running_loop().call_later(self._wait_s, self._not_yet)
        while True:
            link = await self._try()
            if link is not None:
                patience.cancel()
                self._found(link)
                await link.closed
                self.lose(ConnectionResetError("the connection is lost"))
            await asyncio.sleep(PROBE_S)

    async def _try(self) -> Link | None:
        """A connection on which questions can be asked and answered."""
        link: Link | None = None
        try:
            async with asyncio.timeout(self._connect_s):
                link = await self._connect()
                self._sha = await link.ask("SCRIPT", "LOAD", SCRIPT)
                # It may take a script and still no writes: full memory, a replica.
                await link.ask(*self._probe)
                ready, link = link, None
                return ready
        except FAILURES as error:
            self.lose(error)
        except Exception as error:
            log.exception("Redis cannot be reached, for a reason that nothing foresaw")
            self.lose(error)
        finally:
            if link is not None:
                link.close()
        return None

    async def finish(self) -> None:
        """Until nothing waits, or the node is away."""
        while self.link is not None and (self._asked is not None or self.lane.waits):
            await asyncio.sleep(FINISH_POLL_S)

    def close(self) -> None:
        """Whoever waits decides alone."""
        self.lane.away = True
        self._leave()

    def lose(self, error: Exception) -> None:
        """The node does not answer, or not in time."""
        if not self.lane.away:
            self.lane.away = True
            self._on_change(str(error) or type(error).__name__)
        self._leave()

    def report(self) -> None:
        """Raise the counters by what has happened since the last time: not one by one, it costs."""
        seen, self._seen = self._seen, Seen()
        self._metrics.add("rate_limit_store_calls_total", seen.calls)
        self._metrics.add("rate_limit_store_microseconds_total", seen.microseconds)
        self._metrics.add("rate_limit_store_failures_total", seen.failures)

    def _leave(self) -> None:
        link, self.link = self.link, None
        self._give_up()
        self.report()
        if link is not None:
            link.close()

    def _not_yet(self) -> None:
        if self.link is None:
            self.lose(TimeoutError("it cannot be reached"))

    def _found(self, link: Link) -> None:
        self.link = link
        if self.lane.away:
            self.lane.away = False
            self._on_change("")
        self._send()

    def _send(self) -> None:
        """The batch that waits for longest.

        One that has waited too long is not sent any more: Redis is slower than questions come.
        """
        while self._asked is None and self.link is not None:
            batch = self.lane.take()
            if batch is None:
                return
            now = time.monotonic()
            due = batch.born + self._wait_s
            if now < due:
                self._retried = False
                self._call(self.link, batch, now, due)
            else:
                self._seen.failures += 1
                batch.give_up()

    def _call(self, link: Link, batch: "Batch", now: float, due: float) -> None:
        self._calls += 1
        self._asked = batch
        self._began = now
        self._due = due
        if self._patience is None:
            # Not one for each call: it looks again when it is over.
            self._patience = asyncio.get_running_loop().call_later(due - now, self._look)
        command = batch.command(self._sha, f"{self._nonce}:{self._calls}")
        link.send(command, self._answered, batch)

    def _look(self) -> None:
        """Whether the call that is under way has been for too long."""
        self._patience = None
        left_s = self._due - time.monotonic()
        if self._asked is None:
            return
        if left_s > 0:
            self._patience = asyncio.get_running_loop().call_later(left_s, self._look)
            return
        self._count()
        self._fail(TimeoutError("it did not answer in time"))

    def _answered(self, answer: Any) -> None:
        batch, self._asked = self._asked, None
        if batch is None:
            return
        self._count()
        if self.link is not None and is_unknown_script(answer) and not self._retried:
            self._retried = True
            self.link.send(LOAD, ignore)
            now = time.monotonic()
            self._call(self.link, batch, now, now + self._wait_s)
            return
        try:
            if answer is READ:
                batch.settle()
            elif isinstance(answer, list):
                batch.settle(answer)
            else:
                # Of a cluster: MOVED, another node has our keys now. Connecting anew finds it.
                raise RedisError(str(answer or "the connection is lost"))
        except FAILURES as error:
            batch.give_up()
            self._fail(error)
        else:
            if self.lane.waits:
                self.wake()  # who comes in the same turn goes along

    def _count(self) -> None:
        self._seen.calls += 1
        self._seen.microseconds += int(1e6 * (time.monotonic() - self._began))

    def _fail(self, error: Exception) -> None:
        self._seen.failures += 1
        self.lose(error)

    def _give_up(self) -> None:
        batch, self._asked = self._asked, None
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        while batch is not None or (batch := self.lane.take()) is not None:
            batch.give_up()
            batch = None


def ignore(answer: Any) -> None:
    """The next answer shows whether it worked."""


def is_unknown_script(answer: Any) -> bool:
    """Redis was restarted, or its scripts were flushed."""
    return isinstance(answer, hiredis.ReplyError) and str(answer).startswith("NOSCRIPT")
