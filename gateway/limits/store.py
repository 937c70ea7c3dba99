"""The limits that all hosts share, as one worker sees them: lanes to nodes of Redis, and leases.

Requests put their questions into the lanes (``cext/judgement.pyx``); nothing of them passes here.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from gateway._core import MAX_LEASE
from gateway.cext.lane import Lane, number_of_lane
from gateway.limits.dispatcher import PROBE_S, Dispatcher, Metrics
from gateway.limits.link import settle
from gateway.limits.nodes import Nodes

if TYPE_CHECKING:
    from gateway.cext.lane import Question

__all__ = ["LimitStore", "Metrics"]

BEAT_S = 1.0
"""Between two signs of life of this host, and between two reports of what was asked."""
HOST_LIFE_S = 5
"""A host that was silent for so long has no share."""
LEASE_LIFE_S = 10
"""Tokens are good for so long …"""
RETURN_S = 8
"""… and who has not used them after this time gives them back."""
NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

HOSTS = (
    "local now = redis.call('TIME')[1] redis.call('ZADD', KEYS[1], now, ARGV[1]) "
    "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2]) "
    "redis.call('EXPIRE', KEYS[1], ARGV[2]) return redis.call('ZCARD', KEYS[1])"
)
"""Tells the others that this host is there, and counts them."""

log = logging.getLogger(__name__)


class Allowance(Protocol):
    """How much; see ``cext/rate_limit.pxd``."""

    kind: tuple[str, int, int, int]
    """Kind, limit, period (ms), burst: terms of a question."""
    lease_rule: int
    lease: int


LeaseQuestion = tuple[Any, str, Allowance, int, int]
"""Rules of the plan, key in Redis, allowance, key in the segment, weight."""


class LimitStore:
    """What a worker asks."""

    def __init__(
        self,
        nodes: Nodes,
        segment: Any,
        metrics: Metrics,
        *,
        nonce: str,
        wait_s: float,
    ) -> None:
        """``nonce``: a text that no other worker has. An answer later than `wait_s` is lost."""
        self._segment = segment
        self._metrics = metrics
        self._host = f"{segment.hash(b'host'):016x}"
        self._hosts = 1
        self._whole = True
        self._fetching: dict[int, asyncio.Future[bool]] = {}
        self._wanted: dict[int, int] = {}
        """Key → tokens that those need who wait for a fetch that has not been sent."""
        self._returns: dict[int, tuple[asyncio.TimerHandle, LeaseQuestion, int]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._dispatchers: list[Dispatcher] = []
        for number, tag in enumerate(nodes.tags):
            dispatcher = Dispatcher(
                partial(Lane, number, tag),
                partial(nodes.connect, tag),
                metrics,
                self._changed,
                probe=self._sign_of_life(tag),
                nonce=f"{nonce}:{number}",
                wait_s=wait_s,
                connect_s=nodes.connect_s,
            )
            self._dispatchers.append(dispatcher)
        self.lanes = [dispatcher.lane for dispatcher in self._dispatchers]

    @property
    def away(self) -> bool:
        """Whether no node answered when it was last asked."""
        return all(lane.away for lane in self.lanes)

    def start(self) -> None:
        """Connect, and look after the connections."""
        for dispatcher in self._dispatchers:
            self._spawn(dispatcher.run())
        self._spawn(self._beat())

    async def close(self) -> None:
        """Give back what is not used, end, and let those who wait decide alone."""
        for key, (handle, *_) in list(self._returns.items()):
            handle.cancel()
            self._return_now(key)
        await asyncio.gather(*(dispatcher.finish() for dispatcher in self._dispatchers))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for dispatcher in self._dispatchers:
            dispatcher.close()

    def report(self) -> None:
        """Tell the worker's metrics what was asked; done once for each beat."""
        for dispatcher in self._dispatchers:
            dispatcher.report()

    # --- leases -----------------------------------------------------------------------------------

    async def lease(self, questions: list[LeaseQuestion]) -> bool:
        """Fetch tokens for those who wait for them. False: Redis is away."""
        done = [self._fetch(each, each[2].lease) for each in questions]
        return all(await asyncio.gather(*done))

    async def top_up(self, question: LeaseQuestion) -> None:
        """Fetch tokens before the last are used: half of a lease is left."""
        await self._fetch(question, max(1, question[2].lease // 2))

    async def _fetch(self, asked: LeaseQuestion, tokens: int) -> bool:
        """One fetch for each key at a time, of as many tokens as all who wait for it need."""
        key = asked[3]
        running = self._fetching.get(key)
        if running is not None and key not in self._wanted:  # it is under way, without our tokens
            await asyncio.shield(running)
            running = self._fetching.get(key)
        self._wanted[key] = self._wanted.get(key, 0) + asked[4]
        if running is None:
            running = asyncio.ensure_future(self._fetch_once(asked, tokens))
            self._fetching[key] = running
            running.add_done_callback(lambda _: self._fetching.pop(key, None))
        return await asyncio.shield(running)

    async def _fetch_once(self, asked: LeaseQuestion, tokens: int) -> bool:
        limits, store_key, allowance, key, _ = asked
        _, limit, period_ms, burst = allowance.kind
        terms = ("lease", limit, period_ms, burst)
        await asyncio.sleep(0)  # who asks in the same turn takes part
        tokens = min(max(tokens, self._wanted.pop(key)), MAX_LEASE)
        answer = await self._ask((store_key, terms, tokens, 1))
        if answer is None:
            return False
        granted, remaining, reset_ms, retry_ms = answer
        now_ns = time.monotonic_ns()
        limits.grant(
            self._segment,
            allowance.lease_rule,
            key,
            granted,
            LEASE_LIFE_S * NS_PER_S,
            remaining,
            reset_ms * NS_PER_MS,
            0 if granted else retry_ms * NS_PER_MS,
            now_ns,
        )
        if granted:
            self._metrics.add("rate_limit_lease_tokens_granted_total", granted)
            self._return_later(asked, now_ns + LEASE_LIFE_S * NS_PER_S)
        return True

    def _return_later(self, asked: LeaseQuestion, until_ns: int) -> None:
        """Who is quiet does not keep what others could use."""
        key = asked[3]
        if key in self._returns:
            self._returns.pop(key)[0].cancel()
        loop = asyncio.get_running_loop()
        handle = loop.call_later(RETURN_S, self._return_now, key)
        self._returns[key] = (handle, asked, until_ns)

    def _return_now(self, key: int) -> None:
        _, (limits, store_key, allowance, _, _), until_ns = self._returns.pop(key)
        lane = self.lanes[number_of_lane(store_key, len(self.lanes))]
        if lane.away:
            return
        unused = limits.take_back(
            self._segment, allowance.lease_rule, key, until_ns, time.monotonic_ns()
        )
        if unused:
            _, limit, period_ms, burst = allowance.kind
            terms = ("token_bucket", limit, period_ms, burst)
            lane.charge(store_key, terms, -unused)
            self._metrics.add("rate_limit_lease_tokens_returned_total", unused)

    async def _ask(self, question: "Question") -> list[int] | None:
        lane = self.lanes[number_of_lane(question[0], len(self.lanes))]
        if lane.away:
            return None
        future: asyncio.Future[list[int] | None] = asyncio.get_running_loop().create_future()
        lane.ask([question], partial(settle, future))
        return await future

    # --- there or away ----------------------------------------------------------------------------

    def _sign_of_life(self, tag: bytes) -> tuple[str | bytes | int, ...]:
        return ("EVAL", HOSTS, 1, b"rate_limit:hosts" + tag, self._host, HOST_LIFE_S)

    async def _beat(self) -> None:
        """Of all hosts, at the node of the first lane."""
        first = self._dispatchers[0]
        while True:
            hosts = await first.probe()
            if hosts is not None:
                self._hosts = max(1, hosts)
                self._tell()
            self.report()
            await asyncio.sleep(PROBE_S if hosts is None else BEAT_S)

    def _changed(self, reason: str) -> None:
        whole = not any(lane.away for lane in self.lanes)
        if self._whole and not whole:
            log.warning("Redis is away, limits are decided by this host's share: %s", reason)
        elif whole and not self._whole:
            log.warning("Redis is back, limits are decided there again")
        self._whole = whole
        self._tell()

    def _tell(self) -> None:
        self._metrics.limit_store_is(self.away, self._whole, self._hosts)

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
