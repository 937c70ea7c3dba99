"""Asks Redis, for one worker: one call at a time, with all that waits.

While Redis is away nobody waits for it: the worker decides by its host's share. One probe each
`PROBE_S` finds out that it is back.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from redis.exceptions import NoScriptError, RedisError

from gateway.limits.questions import (
    PREFIX,
    Allowance,
    Answer,
    Question,
    answers,
    call,
    lease_question,
    question,
)

__all__ = ["LimitStore", "Metrics"]

SCRIPT = (Path(__file__).parent / "decide.lua").read_text()
MAX_BATCH = 256
"""Requests in one call: Redis is busy with it for some milliseconds, and serves others, too."""
BEAT_S = 1.0
"""Between two signs of life of this host."""
PROBE_S = 0.25
"""Between two tries to reach Redis again: back to exact well within a second."""
HOST_LIFE_S = 5
"""A host that was silent for so long has no share."""
LEASE_LIFE_S = 10
"""Tokens that a host has not used in this time are lost."""
NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

HOSTS = (
    "local now = redis.call('TIME')[1] redis.call('ZADD', KEYS[1], now, ARGV[1]) "
    "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2]) "
    "redis.call('EXPIRE', KEYS[1], ARGV[2]) return redis.call('ZCARD', KEYS[1])"
)
"""Tells the others that this host is there, and counts them."""

FAILURES = (RedisError, OSError, TimeoutError, ValueError)

ExactQuestion = tuple[str, str, str, Allowance, int, bool]
"""Policy, algorithm, who, allowance, weight, enforced."""
LeaseQuestion = tuple[Any, str, str, Allowance, int, int]
"""Rules of the plan, policy, who, allowance, key in the segment, weight."""
Request = tuple[Sequence[Question], "asyncio.Future[list[Answer] | None]"]

log = logging.getLogger(__name__)


class Metrics(Protocol):
    """What the store tells its worker."""

    def limit_store_is(self, away: bool, hosts: int) -> None:
        """Whether Redis is away, and how many hosts share the limits."""

    def add(self, counter: str, delta: int) -> None:
        """Raise a counter of the segment."""


class LimitStore:
    """The limits that all hosts share, as one worker sees them."""

    def __init__(
        self, redis: Any, segment: Any, metrics: Metrics, nonce: str, wait_s: float
    ) -> None:
        """``nonce``: a text that no other worker has. What takes longer than `wait_s` is away."""
        self._redis = redis
        self._segment = segment
        self._metrics = metrics
        self._nonce = nonce
        self._wait_s = wait_s
        self._host = f"{segment.hash(b'host'):016x}"
        self._hosts = 1
        self._away = False
        self._calls = 0
        self._sha = ""
        self._waiting: list[Request] = []
        self._talking = False
        self._fetching: dict[int, asyncio.Future[bool]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def away(self) -> bool:
        """Whether Redis did not answer when it was last asked."""
        return self._away

    def start(self) -> None:
        """Begin to look after Redis."""
        self._spawn(self._beat())

    async def close(self) -> None:
        """End, and let those who wait decide alone."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._give_up()
        await self._redis.aclose()

    # --- what a worker asks -----------------------------------------------------------------------

    async def decide(self, questions: list[ExactQuestion]) -> list[Answer] | None:
        """All or nothing, over all hosts. None: Redis is away."""
        return await self._ask([question(*each) for each in questions])

    async def lease(self, questions: list[LeaseQuestion]) -> bool:
        """Fetch tokens for those who wait for them. False: Redis is away."""
        done = [self._fetch(each, each[3].lease) for each in questions]
        return all(await asyncio.gather(*done))

    async def top_up(self, question: LeaseQuestion) -> None:
        """Fetch tokens before the last are used: half of a lease is left."""
        if not self._away:
            await self._fetch(question, max(1, question[3].lease // 2))

    async def _fetch(self, asked: LeaseQuestion, tokens: int) -> bool:
        """One fetch for each key at a time, whoever waits for it."""
        key = asked[4]
        running = self._fetching.get(key)
        if running is None:
            running = asyncio.ensure_future(self._fetch_once(asked, tokens))
            self._fetching[key] = running
            running.add_done_callback(lambda _: self._fetching.pop(key, None))
        return await asyncio.shield(running)

    async def _fetch_once(self, asked: LeaseQuestion, tokens: int) -> bool:
        limits, policy, who, allowance, key, weight = asked
        found = await self._ask([lease_question(policy, who, allowance, max(tokens, weight))])
        if found is None:
            return False
        answer = found[0]
        limits.grant(
            self._segment,
            allowance.lease_rule,
            key,
            answer.allowed,
            LEASE_LIFE_S * NS_PER_S,
            answer.remaining,
            answer.reset_ms * NS_PER_MS,
            0 if answer.allowed else answer.retry_ms * NS_PER_MS,
            time.monotonic_ns(),
        )
        return True

    # --- one call for all that wait ---------------------------------------------------------------

    async def _ask(self, questions: Sequence[Question]) -> list[Answer] | None:
        if self._away:
            return None
        future: asyncio.Future[list[Answer] | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((questions, future))
        if not self._talking:
            self._talking = True
            self._spawn(self._talk())
        return await future

    async def _talk(self) -> None:
        """Until nobody waits. What comes during a call goes with the next one."""
        batch: list[Request] = []
        try:
            while self._waiting and not self._away:
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                requests = [questions for questions, _ in batch]
                try:
                    found = answers(requests, await self._timed(requests))
                except FAILURES as error:
                    self._lost(error)
                    break
                for (_, future), answer in zip(batch, found, strict=True):
                    if not future.done():
                        future.set_result(answer)
        finally:
            self._talking = False
            self._waiting += [each for each in batch if not each[1].done()]
            if self._away:
                self._give_up()

    async def _eval(self, requests: Sequence[Sequence[Question]]) -> Any:
        self._calls += 1
        keys, arguments = call(requests, f"{self._nonce}:{self._calls}")
        if not self._sha:
            self._sha = await self._redis.script_load(SCRIPT)
        try:
            return await self._redis.evalsha(self._sha, len(keys), *keys, *arguments)
        except NoScriptError:  # Redis was restarted, or its scripts were flushed
            self._sha = await self._redis.script_load(SCRIPT)
            return await self._redis.evalsha(self._sha, len(keys), *keys, *arguments)

    async def _timed(self, requests: Sequence[Sequence[Question]]) -> Any:
        begin = time.perf_counter_ns()
        try:
            async with asyncio.timeout(self._wait_s):
                return await self._eval(requests)
        except FAILURES:
            self._metrics.add("rate_limit_store_failures_total", 1)
            raise
        finally:
            elapsed_us = (time.perf_counter_ns() - begin) // 1000
            self._metrics.add("rate_limit_store_calls_total", 1)
            self._metrics.add("rate_limit_store_microseconds_total", elapsed_us)

    # --- there or away ----------------------------------------------------------------------------

    async def _beat(self) -> None:
        while True:
            try:
                beat = self._redis.eval(HOSTS, 1, f"{PREFIX}:hosts", self._host, HOST_LIFE_S)
                async with asyncio.timeout(self._wait_s):
                    hosts = max(1, int(await beat))
            except FAILURES as error:
                self._lost(error)
            else:
                self._found(hosts)
            await asyncio.sleep(PROBE_S if self._away else BEAT_S)

    def _lost(self, error: Exception) -> None:
        if not self._away:
            self._away = True
            self._metrics.limit_store_is(True, self._hosts)
            reason = str(error) or type(error).__name__
            log.warning("Redis is away, limits are decided by this host's share: %s", reason)
        self._give_up()

    def _found(self, hosts: int) -> None:
        if self._away:
            log.warning("Redis is back, limits are decided there again")
        self._away, self._hosts = False, hosts
        self._metrics.limit_store_is(False, hosts)

    def _give_up(self) -> None:
        waiting, self._waiting = self._waiting, []
        for _, future in waiting:
            if not future.done():
                future.set_result(None)

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
