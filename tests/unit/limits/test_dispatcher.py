"""gateway/limits/dispatcher.py: one lane, and a Redis that comes and goes."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from gateway.limits.store import LimitStore
from tests.servers.redis import RedisServer
from tests.unit.limits.stores import KEY, ask, ask_all, bucket, fixed, seen_by, until


async def test_all_that_waits_is_one_call(make_store: Callable[..., LimitStore]) -> None:
    store = make_store()
    await asyncio.gather(*(ask(store, bucket(1000)) for _ in range(500)))
    assert seen_by(store).counters["rate_limit_store_calls_total"] <= 4


async def test_flushed_scripts_are_loaded_again(
    make_store: Callable[..., LimitStore], redis: RedisServer
) -> None:
    store = make_store()
    await ask(store, bucket())
    async with Redis.from_url(redis.url) as client:
        await client.script_flush()
    assert (await ask(store, bucket())).remaining == 8
    assert not store.away


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_away_and_back(
    make_store: Callable[..., LimitStore], redis: RedisServer, how: str
) -> None:
    store = make_store("50ms")
    await ask(store, bucket())
    getattr(redis, how)()
    begin = time.monotonic()
    question = (KEY, bucket(), 1, 1)
    answers = await asyncio.gather(*(ask_all(store, [question]) for _ in range(20)))
    assert answers == [None] * 20
    assert time.monotonic() - begin < 0.9, "together, not one after the other"
    await asyncio.to_thread(redis.start if how == "kill" else redis.thaw)
    await until(lambda: not store.away)
    # What a frozen one was asked counts there when it thaws; its late answer is nobody's.
    answer = await ask(store, fixed(), key="rate_limit:fixed:user:a:p")
    assert (answer.allowed, answer.remaining) == (1, 9)
    states = seen_by(store).states
    assert [away for away, *_ in states][-1] is False
    assert (True, False, 1) in states


async def test_a_probe_that_fails_leaves_no_connection(
    make_store: Callable[..., LimitStore], redis: RedisServer
) -> None:
    """Redis lets us connect, but not load the script: twelve probes, and no socket more."""
    async with Redis.from_url(redis.url) as client:
        await client.acl_setuser(
            "gw", enabled=True, passwords=["+pw"], keys=["*"], categories=["+@all"],
            commands=["-script"],
        )  # fmt: skip
    store = make_store("50ms", redis.url.replace("redis://", "redis://gw:pw@"))
    await asyncio.sleep(0.5)
    before = len(list(Path("/proc/self/fd").iterdir()))
    await asyncio.sleep(1.5)
    assert store.away
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


async def test_redis_that_takes_no_writes_is_away_and_said_so_once(
    make_store: Callable[..., LimitStore], redis: RedisServer
) -> None:
    store = make_store("50ms")
    await ask(store, bucket())
    async with Redis.from_url(redis.url) as client:
        await client.config_set("maxmemory", "1")
        await ask_all(store, [(KEY, bucket(), 1, 1)])
        await asyncio.sleep(1.5)
        states = [away for away, *_ in seen_by(store).states]
        assert store.away
        assert states.index(True) == len(states) - 1, "it does not come and go"
        await client.config_set("maxmemory", "0")
    begin = time.monotonic()
    while (await ask_all(store, [(KEY, bucket(), 1, 1)])) is None:
        await asyncio.sleep(0.02)
        assert time.monotonic() - begin < 5


async def test_who_waits_behind_a_slow_call_waits_no_longer_than_others(
    make_store: Callable[..., LimitStore], redis: RedisServer
) -> None:
    store = make_store("100ms")
    await ask(store, bucket())
    redis.freeze()
    first = asyncio.create_task(ask_all(store, [(KEY, bucket(1000), 1, 1)]))
    await asyncio.sleep(0.07)
    later = [asyncio.create_task(ask_all(store, [(KEY, bucket(1000), 1, 1)])) for _ in range(9)]
    await asyncio.sleep(0.02)
    redis.thaw()
    assert await first is not None
    assert None not in await asyncio.gather(*later), "these have waited for 20 ms"
    assert not store.away


async def test_an_answer_to_the_probe_that_nobody_foresaw_ends_nothing(
    make_store: Callable[..., LimitStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.limits.store.BEAT_S", 0.05)
    store = make_store()
    await ask(store, bucket())
    dispatcher = store._dispatchers[0]
    sign, dispatcher._probe = dispatcher._probe, ("COMMAND", "INFO", "GET")  # a list of lists
    await until(lambda: store.away)
    dispatcher._probe = sign
    await until(lambda: not store.away)
    assert not any(task.done() for task in store._tasks)


async def test_the_log_says_what_was_waited_for(
    make_store: Callable[..., LimitStore], caplog: pytest.LogCaptureFixture
) -> None:
    store = make_store("70ms")
    store._dispatchers[0].lose(TimeoutError())  # as a sign of life does that is late
    assert "share: no answer in time (state.limit_timeout: 70 ms)" in caplog.text
