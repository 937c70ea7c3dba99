"""Stores of limits, and what the tests ask them."""

import asyncio
import mmap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from gateway._core import Segment
from gateway.cext.lane import number_of_lane
from gateway.config.state import State
from gateway.limits.connect import connect_limits
from gateway.limits.store import LimitStore

if TYPE_CHECKING:
    from gateway.cext.lane import Question


Terms = tuple[str, int, int, int]


def bucket(limit: int = 10, period_ms: int = 60_000, burst: int | None = None) -> Terms:
    return ("token_bucket", limit, period_ms, burst or limit)


def sliding(limit: int = 10, period_ms: int = 60_000) -> Terms:
    return ("sliding_window", limit, period_ms, limit)


def fixed(limit: int = 10, period_ms: int = 60_000) -> Terms:
    return ("fixed_window", limit, period_ms, limit)


KINDS = {"bucket": bucket, "sliding": sliding, "fixed": fixed}
KEY = "rate_limit:user:a:p"


class Answer(NamedTuple):
    """What the script says about one question."""

    allowed: int
    remaining: int
    reset_ms: int
    retry_ms: int


@dataclass
class Allowed:
    """What a plan says about a lease."""

    kind: Terms
    lease: int
    lease_rule: int = 0


@dataclass
class Seen:
    """What a store tells its worker."""

    states: list[tuple[bool, bool, int]] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)

    def limit_store_is(self, away: bool, whole: bool, hosts: int) -> None:
        self.states.append((away, whole, hosts))

    def add(self, counter: str, delta: int) -> None:
        self.counters[counter] = self.counters.get(counter, 0) + delta


def new_store(url: str, wait: str = "5s") -> LimitStore:
    """A store that has begun to connect.

    Who counts exactly may not be told that Redis is away when only the machine is busy.
    """
    segment = Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True)
    timeout = "5s" if wait == "5s" else "250ms"
    store = connect_limits(State(url=url, limit_timeout=wait, timeout=timeout), segment, Seen())
    assert store is not None
    store.start()
    return store


async def ask_all(store: LimitStore, questions: "list[Question]") -> list[Answer] | None:
    """Questions about keys of one lane, all or nothing."""
    lane = store.lanes[number_of_lane(questions[0][0], len(store.lanes))]
    if lane.away:
        return None
    future: asyncio.Future[list[int] | None] = asyncio.get_running_loop().create_future()
    lane.ask(questions, future.set_result)
    flat = await future
    return None if flat is None else [Answer(*row) for row in zip(*[iter(flat)] * 4, strict=True)]


async def ask(
    store: LimitStore, terms: Terms, weight: int = 1, key: str = KEY, mode: int = 1
) -> Answer:
    answers = await ask_all(store, [(key, terms, weight, mode)])
    assert answers is not None
    return answers[0]


def seen_by(store: LimitStore) -> Seen:
    store.report()
    seen = store._metrics
    assert isinstance(seen, Seen)
    return seen


async def until(look: Callable[[], bool], deadline_s: float = 10) -> None:
    """Look until it is so."""
    async with asyncio.timeout(deadline_s):
        while not look():
            await asyncio.sleep(0.01)
