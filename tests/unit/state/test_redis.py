"""Redis that freezes, dies, comes back empty. The waits are bounded, and nothing is forgotten."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from gateway.config.state import state_target
from gateway.state.connect import connect_redis
from gateway.state.guarded import GuardedState, Stance
from gateway.state.interface import Revocation, Space, StateUnavailable
from gateway.state.local import LocalState
from gateway.state.redis import BATCH, STREAM, RedisState
from tests.servers.redis import RedisServer

TIMEOUT_S = 0.3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    running = RedisServer(tmp_path)
    yield running
    with contextlib.suppress(AssertionError):
        running.thaw()
    running.kill()


@pytest.fixture
async def connect(server: RedisServer) -> AsyncIterator[Callable[[], RedisState]]:
    made: list[RedisState] = []

    def new() -> RedisState:
        made.append(connect_redis(state_target(server.url), TIMEOUT_S))
        return made[-1]

    yield new
    for state in made:
        await state.close()


class Listener:
    """Hears of revocations, as a host does."""

    def __init__(self, state: RedisState) -> None:
        self.heard: list[Revocation] = []
        self._task = asyncio.create_task(self._listen(state))

    async def _listen(self, state: RedisState) -> None:
        async for revocation in state.revocations():
            self.heard.append(revocation)

    async def until(self, name: str, within_s: float) -> None:
        async with asyncio.timeout(within_s):
            while name not in [revocation.name for revocation in self.heard]:
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def session(name: str) -> Revocation:
    until_s = int(time.time()) + 900
    return Revocation("session", name, until_s, until_s)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.02)


async def test_keys_have_the_names_that_others_know(
    server: RedisServer, connect: Callable[[], RedisState]
) -> None:
    state = connect()
    await state.revoke(session("s-1"))
    await state.put("api_keys", "k-1", {"userId": "u-1"}, 60)
    client = state._client
    assert await client.get("jwt_blacklist:s-1") == "revoked"
    assert 890 < await client.ttl("jwt_blacklist:s-1") <= 900
    assert await client.hgetall("api_keys:k-1") == {"userId": "u-1"}
    assert 0 < await client.ttl("api_keys:k-1") <= 60


async def test_all_hosts_hear_within_a_second(connect: Callable[[], RedisState]) -> None:
    first, second = connect(), connect()
    listener = Listener(second)
    await asyncio.sleep(0.2)
    await first.revoke(session("s-1"))
    await listener.until("s-1", 1.0)
    await listener.close()


async def test_entries_of_others_in_the_stream_are_passed_over(
    connect: Callable[[], RedisState],
) -> None:
    state = connect()
    for fields in ({"a": "b"}, {"kind": "session", "name": "x", "before": "y", "until": "1"},
                   {"kind": "planet", "name": "x", "before": "1", "until": "1"}):  # fmt: skip
        await state._client.xadd(STREAM, fields)
    await state.revoke(session("s-1"))
    listener = Listener(state)
    await listener.until("s-1", 5.0)
    assert len(listener.heard) == 1
    await listener.close()


async def test_who_begins_late_does_not_need_the_stream(
    connect: Callable[[], RedisState],
) -> None:
    first, late = connect(), connect()
    now_s = int(time.time())
    told = [session("s-1"), Revocation("user", "u:1", now_s - 5, now_s + 60),
            Revocation("client", "c-1", now_s, now_s + 60)]  # fmt: skip
    for revocation in told:
        await first.revoke(revocation)
    await first._client.delete(STREAM)
    await first._client.set("jwt_blacklist:by-hand", "revoked")  # another program's, without an end
    assert not late.informed
    listener = Listener(late)
    for name in ("s-1", "u:1", "c-1", "by-hand"):
        await listener.until(name, 5.0)
    await until(lambda: late.informed)
    heard = {(each.kind, each.name): each for each in listener.heard}
    assert heard["user", "u:1"].before_s == now_s - 5
    assert heard["client", "c-1"].before_s == now_s
    assert heard["session", "by-hand"].until_s > now_s + 80_000
    await first.revoke(session("s-2"))
    await listener.until("s-2", 5.0)
    await listener.close()


async def test_more_than_one_answer_holds_is_read(connect: Callable[[], RedisState]) -> None:
    first, late = connect(), connect()
    pipeline = first._client.pipeline(transaction=False)
    for n in range(2 * BATCH + 500):
        pipeline.set(f"jwt_blacklist:s-{n}", "revoked", ex=900)
        pipeline.set(f"rate_limit:user:{n}:x", "1", ex=900)
    await pipeline.execute()
    listener = Listener(late)
    await until(lambda: late.informed)
    assert {each.name for each in listener.heard} == {f"s-{n}" for n in range(2 * BATCH + 500)}
    await listener.close()


async def test_who_was_away_reads_what_was_revoked_meanwhile(
    server: RedisServer, connect: Callable[[], RedisState]
) -> None:
    first, second = connect(), connect()
    listener = Listener(second)
    await until(lambda: second.informed)
    server.freeze()
    await until(lambda: not second.informed)
    server.thaw()
    await first.revoke(session("s-1"))
    await first._client.delete(STREAM)  # as after a fail-over that lost it
    await listener.until("s-1", 5.0)
    await listener.close()


@pytest.mark.parametrize("outage", ["freeze", "kill"])
async def test_waits_are_bounded(
    server: RedisServer, connect: Callable[[], RedisState], outage: str
) -> None:
    state = connect()
    await state.count("logins", "ann", 60)
    getattr(server, outage)()
    for _ in range(3):
        begin = time.monotonic()
        with pytest.raises(StateUnavailable):
            await state.count("logins", "ann", 60)
        assert time.monotonic() - begin < TIMEOUT_S + 5
    assert state.failures == 1  # those after the first did not even try


async def test_many_who_ask_during_an_outage_do_not_queue(
    server: RedisServer, connect: Callable[[], RedisState]
) -> None:
    state = connect()
    server.freeze()
    begin = time.monotonic()
    asked = [state.get("codes", str(n)) for n in range(500)]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(each, StateUnavailable) for each in found)
    assert time.monotonic() - begin < 10


async def test_it_recovers_without_a_restart(
    server: RedisServer, connect: Callable[[], RedisState]
) -> None:
    first, second = connect(), connect()
    changes: list[bool] = []
    first.on_change = lambda: changes.append(first.available)
    listeners = [Listener(first), Listener(second)]
    await first.revoke(session("before"))
    await listeners[1].until("before", 2)
    server.kill()
    await until(lambda: not first.available and not second.available)
    await first.revoke(session("during"))  # does not fail
    server.start()  # empty
    await listeners[1].until("during", 10)
    await until(lambda: changes == [True, False, True])
    assert await first.count("logins", "ann", 60) == 1
    third = connect()  # a host that begins later hears of what was revoked before the outage
    listeners.append(Listener(third))
    await listeners[2].until("before", 5)
    await listeners[2].until("during", 5)
    for listener in listeners:
        await listener.close()


async def test_a_frozen_redis_is_noticed(
    server: RedisServer, connect: Callable[[], RedisState], caplog: pytest.LogCaptureFixture
) -> None:
    state = connect()
    listener = Listener(state)
    await asyncio.sleep(0.1)
    server.freeze()
    begin = time.monotonic()
    await until(lambda: not state.available)
    assert time.monotonic() - begin < 10
    assert "Redis is away: no answer in time (state.timeout: " in caplog.text
    server.thaw()
    await until(lambda: state.available)
    await listener.close()


async def test_stances(server: RedisServer, connect: Callable[[], RedisState]) -> None:
    redis = connect()
    stances: dict[Space, Stance] = {"logins": "fail_open", "codes": "fail_closed"}
    state = GuardedState(redis, LocalState(), stances)
    await state.put("codes", "c", {"a": "1"}, 60)
    assert await state.count("logins", "ann", 60) == 1
    server.kill()
    assert [await state.count("logins", "ann", 60) for _ in range(3)] == [1, 2, 3]
    for ask in (state.take("codes", "c"), state.get("codes", "c")):
        with pytest.raises(StateUnavailable):
            await ask
