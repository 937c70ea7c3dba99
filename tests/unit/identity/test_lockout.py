import asyncio
from typing import Any

import pytest

from gateway.identity.lockout import Limits, Locked, Lockout
from gateway.state.local import LocalState

LIMITS = Limits(attempts=5, address_attempts=8, window_s=900, delay_after=3, max_delay_s=2.0)


class Sleeper:
    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def sleeper(monkeypatch: pytest.MonkeyPatch) -> Sleeper:
    made = Sleeper()
    monkeypatch.setattr("gateway.identity.lockout.asyncio.sleep", made)
    return made


async def test_tries_are_slowed_down_and_then_refused(sleeper: Sleeper) -> None:
    lockout = Lockout(LocalState())
    found: list[Any] = [await lockout.begin("ann", f"10.0.0.{n}", LIMITS) for n in range(7)]
    assert found == [None] * 5 + [Locked(900)] * 2
    assert sleeper.slept == [0.25, 0.5, 1.0]


async def test_delays_are_bounded(sleeper: Sleeper) -> None:
    many = Limits(1000, 1000, 900, 1, 2.0)
    lockout = Lockout(LocalState())
    for _ in range(100):
        await lockout.begin("ann", "10.0.0.1", many)
    assert max(sleeper.slept) == 2.0


async def test_an_account_is_one_in_whatever_case(sleeper: Sleeper) -> None:
    lockout = Lockout(LocalState())
    for name in ("ann@a", "ANN@a", " Ann@A ", "ann@A", "ann@a"):
        assert await lockout.begin(name, "10.0.0.1", LIMITS) is None
    assert await lockout.begin("ann@a", "10.0.0.2", LIMITS) == Locked(900)


async def test_an_address_that_tries_many_accounts(sleeper: Sleeper) -> None:
    lockout = Lockout(LocalState())
    for n in range(8):
        assert await lockout.begin(f"user-{n}", "10.0.0.1", LIMITS) is None
    assert await lockout.begin("another", "10.0.0.1", LIMITS) == Locked(900)
    assert await lockout.begin("another", "10.0.0.2", LIMITS) is None


async def test_success_forgives(sleeper: Sleeper) -> None:
    lockout = Lockout(LocalState())
    for _ in range(50):
        assert await lockout.begin("ann", "10.0.0.1", LIMITS) is None
        await lockout.succeeded("ann", "10.0.0.1", LIMITS)


async def test_a_thousand_at_once_are_a_thousand_tries() -> None:
    lockout = Lockout(LocalState())
    quick = Limits(5, 10_000, 900, 1000, 2.0)
    tries = [lockout.begin("ann", "10.0.0.1", quick) for _ in range(1000)]
    assert (await asyncio.gather(*tries)).count(None) == 5


async def test_an_account_is_one_in_whatever_unicode_form(sleeper: Sleeper) -> None:
    lockout = Lockout(LocalState())
    for name in ("zo\u00e9@a", "zoe\u0301@a", "ZOE\u0301@a", "zo\u00c9@a", "zo\u00e9@a"):
        assert await lockout.begin(name, "10.0.0.1", LIMITS) is None
    assert await lockout.begin("zoe\u0301@a", "10.0.0.2", LIMITS) == Locked(900)


async def test_who_is_locked_out_locks_out_nobody_else(sleeper: Sleeper) -> None:
    """And makes no further entries in the state."""
    state = LocalState()
    lockout = Lockout(state)
    for n in range(100):
        await lockout.begin(f"u{n}", "10.0.0.1", LIMITS)
    for _ in range(LIMITS.attempts + 1):
        assert await lockout.begin("ann", "10.0.0.1", LIMITS) == Locked(900)
    assert await lockout.begin("ann", "10.0.0.2", LIMITS) is None
    assert await state.count("logins", "new", 900) == 1
    assert state.size("logins") == LIMITS.address_attempts + 4, "accounts, two addresses, ann, new"
