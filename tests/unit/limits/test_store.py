"""gateway/limits/store.py: leases and hosts, against a real Redis."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from gateway._core import Limits
from gateway.limits.store import LimitStore
from tests.unit.limits.stores import KEY, Allowed, ask, bucket, seen_by


async def test_hosts_are_counted(make_store: Callable[..., LimitStore]) -> None:
    stores = [make_store() for _ in range(3)]
    await asyncio.sleep(1.6)
    assert seen_by(stores[0]).states[-1] == (False, True, 3)


async def test_a_lease_is_tokens_in_the_segment(make_store: Callable[..., LimitStore]) -> None:
    stores = make_store(), make_store()
    allowed = Allowed(bucket(100, 3_600_000), 30)
    passed = 0
    for _ in range(8):
        for store in stores:
            limits = Limits([("lease", 30, 0, 0)])
            assert await store.lease([(limits, KEY, allowed, 77, 1)])
            while limits.acquire(store._segment, [(0, 77, 1, True)], time.monotonic_ns())[0]:
                passed += 1
    assert passed == 100


async def test_who_is_quiet_gives_his_lease_back(
    make_store: Callable[..., LimitStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.limits.store.RETURN_S", 0.1)
    store = make_store()
    limits = Limits([("lease", 30, 0, 0)])
    allowed = Allowed(bucket(100, 3_600_000), 30)
    assert await store.lease([(limits, KEY, allowed, 77, 1)])
    assert limits.acquire(store._segment, [(0, 77, 10, True)], time.monotonic_ns())[0]
    assert (await ask(store, bucket(100, 3_600_000), 0)).remaining == 70
    await asyncio.sleep(0.3)
    assert (await ask(store, bucket(100, 3_600_000), 0)).remaining == 90
    assert not limits.acquire(store._segment, [(0, 77, 1, True)], time.monotonic_ns())[0]
    counters = seen_by(store).counters
    assert counters["rate_limit_lease_tokens_granted_total"] == 30
    assert counters["rate_limit_lease_tokens_returned_total"] == 20


async def test_who_ends_gives_his_lease_back(make_store: Callable[..., LimitStore]) -> None:
    ends, stays = make_store(), make_store()
    allowed = Allowed(bucket(100, 3_600_000), 30)
    limits = Limits([("lease", 30, 0, 0)])
    assert await ends.lease([(limits, KEY, allowed, 77, 1)])
    assert (await ask(stays, bucket(100, 3_600_000), 0)).remaining == 70
    await ends.close()
    assert (await ask(stays, bucket(100, 3_600_000), 0)).remaining == 100


async def test_who_waits_for_a_lease_in_the_same_turn_gets_one_that_is_large_enough(
    make_store: Callable[..., LimitStore],
) -> None:
    store = make_store()
    limits = Limits([("lease", 5, 0, 0)])
    allowed = Allowed(bucket(100, 3_600_000), 5)
    question: Any = (limits, KEY, allowed, 77, 1)
    assert all(await asyncio.gather(*(store.lease([question]) for _ in range(60))))
    taken = 0
    while limits.acquire(store._segment, [(0, 77, 1, True)], time.monotonic_ns())[0]:
        taken += 1
    assert taken == 60
    assert seen_by(store).counters["rate_limit_store_calls_total"] == 1
