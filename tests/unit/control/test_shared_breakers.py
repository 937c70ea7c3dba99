"""What hosts tell each other of their circuit breakers, and what they make of it."""

import asyncio
import mmap
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from gateway._core import Breaker, Segment
from gateway.control.shared_breakers import CLOSED, SharedBreaker, SharedBreakers
from gateway.state.interface import StateUnavailable
from gateway.state.local import LocalState

RULES = {
    "window_ms": 1000, "min_requests": 1, "failure_permille": 500, "open_for_ms": 400,
    "open_max_ms": 1500, "probes": 1,
}  # fmt: skip
NOW = 1_000_000
OPEN = {"state": "OPEN", "host": "b", "openedAt": "999000", "until": "1002000"}


def breaker(**changes: Any) -> SharedBreaker:
    return SharedBreaker("a", 60_000, **changes)


@pytest.mark.parametrize(
    ("told", "followed_until_ms", "state", "until_ms", "found"),
    [
        (CLOSED, 0, "closed", 0, None),
        (CLOSED, 0, "open", 50, ("open", 50)),
        (("open", 50), 0, "open", 50, None),
        (("open", 50), 0, "open", 90, ("open", 90)),  # again, for longer
        (("open", 50), 0, "half_open", 0, ("half_open", 0)),
        (("half_open", 0), 0, "half_open", 0, None),
        (("half_open", 0), 0, "open", 90, ("open", 90)),
        (("half_open", 0), 0, "closed", 0, CLOSED),
        (("open", 50), 0, "closed", 0, CLOSED),
        # After another host's finding: nothing of it goes back …
        (CLOSED, 70, "open", 70, None),
        (CLOSED, 70, "half_open", 0, None),
        (CLOSED, 70, "closed", 0, None),
        (CLOSED, 70, "open", 95, ("open", 95)),  # … but what our own probes find
        (("open", 50), 70, "open", 70, CLOSED),
    ],
)
def test_what_is_told(
    told: Any, followed_until_ms: int, state: Any, until_ms: int, found: Any
) -> None:
    shared = breaker(told=told, followed_until_ms=followed_until_ms)
    assert shared.found_out(state, until_ms) == found


@pytest.mark.parametrize(
    ("fields", "open_ms"),
    [
        (OPEN, 2000),
        (None, None),
        ({}, None),
        (OPEN | {"host": "a"}, None),  # our own
        (OPEN | {"state": "CLOSED"}, None),
        (OPEN | {"state": "HALF_OPEN"}, None),
        (OPEN | {"until": "1000000"}, None),  # over
        (OPEN | {"until": "99999999"}, 60_000),  # their clock, or their word
        (OPEN | {"until": "soon"}, None),
        ({"state": "OPEN", "failures": "5", "lastFailure": "1"}, None),  # somebody else's hash
    ],
)
def test_what_is_followed(fields: Mapping[str, str] | None, open_ms: int | None) -> None:
    assert breaker().to_follow(fields, NOW) == open_ms


def test_an_opening_is_followed_once() -> None:
    shared = breaker()
    assert shared.to_follow(OPEN, NOW) == 2000
    assert shared.to_follow(OPEN, NOW + 500) is None, "our probes may know better by now"
    assert shared.to_follow(OPEN | {"openedAt": "1000400"}, NOW + 500) == 1500


class Host:
    """A segment with a breaker of one service, and what tells the others of it."""

    def __init__(self, name: str, state: Any) -> None:
        self.segment = Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True)
        self.label = self.segment.intern("web")
        self.breaker = Breaker(self.segment, self.label, **RULES)
        self.state = state
        self.sharing = SharedBreakers(self.segment, name)
        rules = {"shared": True, "open_max": 1.5}
        self.sharing.update(
            [
                {"name": "web", "label": self.label, "breaker": rules},
                {"name": "own", "label": 9, "breaker": rules | {"shared": False}},
                {"name": "none", "label": 8, "breaker": None},
            ]
        )

    async def look(self) -> None:
        for name, each in self.sharing._watched.items():
            await self.sharing.look(self.state, name, each)

    def ask(self, outcome: str) -> bool:
        """A request, if it is let through."""
        now_ms = time.monotonic_ns() // 1_000_000
        ticket, _, _ = self.breaker.admit(now_ms)
        if ticket is None:
            return False
        self.breaker.report(ticket, outcome, now_ms, 0)
        return True


def test_one_opens_the_others_follow_and_come_back_by_themselves() -> None:
    async def scene() -> None:
        state = LocalState()
        one, two, three = (Host(name, state) for name in ("one", "two", "three"))
        assert one.ask("failure")
        for host in (one, two, three):
            await host.look()
        assert [host.breaker.state for host in (one, two, three)] == ["open"] * 3
        shown = await state.get("circuit_breaker", "web")
        assert shown is not None
        assert (shown["state"], shown["host"]) == ("OPEN", "one")
        assert int(shown["until"]) - int(shown["openedAt"]) > 300
        assert not two.ask("success")
        assert two.sharing.families()[0].samples == [({"service": "web"}, 1)]
        await asyncio.sleep(0.45)
        assert two.ask("success")
        assert two.breaker.state == "closed"
        for _ in range(3):
            await two.look()
        assert two.breaker.state == "closed", "what was followed once is over"
        assert three.breaker.state == "open", "until it asks"
        assert three.ask("failure")
        await three.look()
        await two.look()
        assert two.segment.breaker(two.label)[0] == "open", "a finding of its own"

    asyncio.run(scene())


def test_what_is_shown_ends_with_the_opening_or_with_its_host() -> None:
    async def scene() -> None:
        state = LocalState()
        one, late = Host("one", state), Host("late", state)
        one.ask("failure")
        await one.look()  # and dies
        await asyncio.sleep(1.1)
        assert await state.get("circuit_breaker", "web") is None
        await late.look()
        assert late.breaker.state == "closed"

    asyncio.run(scene())


def test_a_close_is_shown_unless_another_one_is_open() -> None:
    async def scene() -> None:
        state = LocalState()
        one, two = Host("one", state), Host("two", state)
        one.ask("failure")
        await one.look()
        await asyncio.sleep(0.42)
        one.ask("success")
        await one.look()
        assert ((await state.get("circuit_breaker", "web")) or {})["state"] == "CLOSED"
        one.ask("failure")
        await one.look()
        two.ask("failure")
        await two.look()
        await asyncio.sleep(0.42)
        one.ask("success")
        await one.look()
        assert ((await state.get("circuit_breaker", "web")) or {})["host"] == "two"

    asyncio.run(scene())


class Away(LocalState):
    """Redis, as it is when it is away for a while."""

    away = True

    async def _refuse(self) -> None:
        if self.away:
            raise StateUnavailable("away")

    async def put(self, *arguments: Any) -> None:
        await self._refuse()
        await super().put(*arguments)

    async def get(self, *arguments: Any) -> dict[str, str] | None:
        await self._refuse()
        return await super().get(*arguments)


def test_without_redis_each_goes_by_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.control.shared_breakers.LOOK_S", 0.01)

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(2):
            while not condition():
                await asyncio.sleep(0.01)

    async def scene() -> None:
        state = Away()
        one, two = Host("one", state), Host("two", state)
        runs = [asyncio.create_task(host.sharing.run(state)) for host in (one, two)]
        one.ask("failure")
        await asyncio.sleep(0.1)
        assert (one.breaker.state, two.breaker.state) == ("open", "closed")
        state.away = False
        await until(lambda: two.breaker.state == "open")  # told as soon as it can be
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)

    asyncio.run(scene())
