"""gateway/limits/store.py and decide.lua, against a real Redis."""

import asyncio
import mmap
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from redis.asyncio import Redis

from gateway._core import Limits, Segment
from gateway.cext.lane import number_of_lane
from gateway.config.state import State
from gateway.limits.connect import connect_limits
from gateway.limits.store import LimitStore
from tests.servers.certificate import make_certificate
from tests.servers.redis import RedisServer, free_port
from tests.servers.redis_modes import Sentinel, start_cluster, start_cluster_of, start_tls

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


@pytest.fixture
def redis(redis_server: Callable[..., RedisServer]) -> RedisServer:
    return redis_server()


@pytest.fixture
async def make_store(redis: RedisServer) -> AsyncIterator[Callable[..., LimitStore]]:
    made: list[LimitStore] = []

    def make(wait: str = "5s", url: str = redis.url) -> LimitStore:
        segment = Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True)
        # Who counts exactly may not be told that Redis is away when only the machine is busy.
        state = State(url=url, limit_timeout=wait, timeout="5s" if wait == "5s" else "250ms")
        store = connect_limits(state, segment, Seen())
        assert store is not None
        store.start()
        made.append(store)
        return store

    yield make
    for store in made:
        await store.close()


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


@pytest.mark.parametrize("limit", [10, 1500])
@pytest.mark.parametrize("kind", KINDS)
async def test_two_stores_give_the_limit_and_no_more(
    make_store: Callable[..., LimitStore], kind: str, limit: int
) -> None:
    stores = make_store(), make_store()
    terms = KINDS[kind](limit, 3_600_000)
    asked = (ask(stores[call % 2], terms) for call in range(limit + 100))
    answers = await asyncio.gather(*asked)
    assert sum(answer.allowed for answer in answers) == limit
    last = await ask(stores[0], terms)
    assert last.remaining == 0
    assert 0 < last.retry_ms <= last.reset_ms <= 2 * 3_600_000


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_used_comes_back(make_store: Callable[..., LimitStore], kind: str) -> None:
    store = make_store()
    terms = KINDS[kind](2, 300)
    assert [(await ask(store, terms)).allowed for _ in range(3)] == [1, 1, 0]
    refused = await ask(store, terms)
    await asyncio.sleep(refused.retry_ms / 1000 + 0.01)
    assert (await ask(store, terms)).allowed == 1


async def test_a_refusal_takes_nothing_of_the_others(make_store: Callable[..., LimitStore]) -> None:
    store = make_store()
    questions: list[Question] = [
        ("rate_limit:user:a:wide", bucket(10), 1, 1),
        ("rate_limit:sliding:ip:192.0.2.1:narrow", sliding(1), 1, 1),
    ]
    for _ in range(5):
        answers = await ask_all(store, questions)
    assert answers is not None
    assert [answer.allowed for answer in answers] == [1, 0]
    assert answers[0].remaining == 9


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_given_back_may_be_had_again(
    make_store: Callable[..., LimitStore], kind: str
) -> None:
    store = make_store()
    limit = 5 if kind == "sliding" else 2000
    terms = KINDS[kind](limit, 3_600_000)
    assert (await ask(store, terms, limit)).remaining == 0
    back: Any = terms
    if kind == "sliding":
        # The first call of the first lane, the first question in it.
        back = (*terms[:3], f"{store._dispatchers[0].calls.nonce}:1:1")
    await ask(store, back, -3, mode=2)
    assert [(await ask(store, terms)).allowed for _ in range(4)] == [1, 1, 1, 0]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_debt_is_paid_by_later_requests(
    make_store: Callable[..., LimitStore], kind: str
) -> None:
    store = make_store()
    terms = KINDS[kind](10, 400)
    await ask(store, terms, 1_000_000, mode=2)
    refused = await ask(store, terms)
    assert (refused.allowed, refused.remaining) == (0, 0)
    assert refused.retry_ms <= 2 * 400, "as much again at most: who owes can come back"
    await asyncio.sleep(1.0)
    assert (await ask(store, terms)).allowed == 1


async def test_all_that_waits_is_one_call(make_store: Callable[..., LimitStore]) -> None:
    store = make_store()
    await asyncio.gather(*(ask(store, bucket(1000)) for _ in range(500)))
    assert seen_by(store).counters["rate_limit_store_calls_total"] <= 4


async def test_every_key_ends_by_itself(
    make_store: Callable[..., LimitStore], redis: RedisServer
) -> None:
    store = make_store()
    for number, kind in enumerate(KINDS.values()):
        await ask(store, kind(), key=f"{KEY}:{number}")
    async with Redis.from_url(redis.url) as client:
        keys = await client.keys("rate_limit:user:*")
        assert len(keys) == 3
        assert min([await client.pttl(key) for key in keys]) > 0


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
    begin = time.monotonic()
    back = False
    while not back:
        await asyncio.sleep(0.01)
        assert time.monotonic() - begin < 5
        back = not store.away
    # What a frozen one was asked counts there when it thaws; its late answer is nobody's.
    answer = await ask(store, fixed(), key="rate_limit:fixed:user:a:p")
    assert (answer.allowed, answer.remaining) == (1, 9)
    states = seen_by(store).states
    assert [away for away, *_ in states][-1] is False
    assert (True, False, 1) in states


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


async def test_a_cluster_has_a_lane_for_each_tag(tmp_path: Path) -> None:
    node = start_cluster(tmp_path)
    try:
        store = connect_limits(
            State(url=f"redis+cluster://127.0.0.1:{node.port}", limit_timeout="5s", timeout="5s"),
            Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True),
            Seen(),
        )
        assert store is not None
        store.start()
        terms = bucket(3, 3_600_000)
        keys = [f"rate_limit:user:{number}:p" for number in range(40)]
        answers = await asyncio.gather(*(ask(store, terms, key=key) for key in keys * 4))
        assert [answer.allowed for answer in answers] == [1] * 120 + [0] * 40
        async with Redis(host="127.0.0.1", port=node.port, decode_responses=True) as client:
            found = set(await client.keys("rate_limit:user:*"))
        assert found == {f"{key}:{{{number_of_lane(key, 16)}}}" for key in keys}
        await store.close()
    finally:
        node.close()


async def test_a_node_that_dies_takes_no_other_keys_along(tmp_path: Path) -> None:
    nodes = start_cluster_of(2, tmp_path)
    try:
        store = connect_limits(
            State(url=f"redis+cluster://127.0.0.1:{nodes[0].port}", limit_timeout="50ms"),
            Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True),
            Seen(),
        )
        assert store is not None
        store.start()
        terms = bucket(100, 3_600_000)
        keys = [f"rate_limit:user:{number}:p" for number in range(100)]
        while any(dispatcher.link is None for dispatcher in store._dispatchers):
            await asyncio.sleep(0.01)
        await asyncio.gather(*(ask(store, terms, key=key) for key in keys))
        nodes[1].kill()
        await asyncio.sleep(0.1)
        answers = await asyncio.gather(*(ask_all(store, [(key, terms, 1, 1)]) for key in keys))
        lost = sum(answer is None for answer in answers)
        assert 20 < lost < 80, "those of the dead node, and no others"
        assert not store.away
        assert seen_by(store).states[-1][:2] == (False, False)
        await asyncio.to_thread(nodes[1].start)
        begin = time.monotonic()
        while any(lane.away for lane in store.lanes):
            await asyncio.sleep(0.01)
            assert time.monotonic() - begin < 20, "a node that starts writes after two seconds"
        await store.close()
    finally:
        for node in nodes:
            node.close()


async def test_tls_an_account_and_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_store: Callable[..., LimitStore]
) -> None:
    certificate, key = make_certificate(tmp_path)
    server, url = start_tls(tmp_path, certificate, key)
    try:
        stranger = make_store(url=url)
        await asyncio.sleep(0.2)
        assert stranger.away or stranger._dispatchers[0].link is None, "nobody knows its signer"
        await stranger.close()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        store = make_store(url=url)
        assert [(await ask(store, bucket(2))).allowed for _ in range(3)] == [1, 1, 0]
        await store.close()
    finally:
        server.close()


async def test_sentinel_names_the_primary(redis: RedisServer, tmp_path: Path) -> None:
    sentinel = Sentinel(tmp_path, redis)
    try:
        store = connect_limits(
            State(
                url=f"redis+sentinel://127.0.0.1:{sentinel.port}/primary",
                limit_timeout="5s",
                timeout="5s",
            ),
            Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True),
            Seen(),
        )
        assert store is not None
        store.start()
        assert (await ask(store, bucket())).remaining == 9
        await store.close()
    finally:
        sentinel.close()


async def test_a_cluster_that_is_not_there_yet(tmp_path: Path) -> None:
    """What redis-py raises then is no RedisError; the lanes must go on trying."""
    port = free_port()
    segment = Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True)
    state = State(url=f"redis+cluster://127.0.0.1:{port}", limit_timeout="50ms")
    store = connect_limits(state, segment, Seen())
    assert store is not None
    store.start()
    await asyncio.sleep(0.6)
    assert store.away
    assert not any(task.done() for task in store._tasks), "nobody has given up"
    await store.close()


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


async def test_a_foreign_value_costs_nobody_his_answer(
    make_store: Callable[..., LimitStore], redis: RedisServer
) -> None:
    store = make_store()
    async with Redis.from_url(redis.url) as client:
        await client.set("rate_limit:sliding:odd", "text")
        await client.set("rate_limit:number", "text")
        await client.hset("rate_limit:hash", "a", "b")
    odd = {
        "rate_limit:sliding:odd": sliding(),
        "rate_limit:number": bucket(),
        "rate_limit:hash": bucket(),
    }
    answers = await asyncio.gather(
        *(ask(store, terms, key=key) for key, terms in odd.items()),
        *(ask(store, bucket(), key=f"rate_limit:user:{number}") for number in range(20)),
    )
    assert [answer.remaining for answer in answers] == [9] * 23
    assert not store.away


async def test_a_bucket_is_never_fuller_than_by_a_debt(
    make_store: Callable[..., LimitStore], redis: RedisServer
) -> None:
    """The clock of a node that takes over may be behind."""
    store = make_store()
    async with Redis.from_url(redis.url) as client:
        await client.set(KEY, str(2**52))
    refused = await ask(store, bucket(10, 1000))
    assert (refused.allowed, refused.reset_ms) == (0, 2000)


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


async def test_the_last_sentinel_is_asked_when_the_others_hang(
    redis: RedisServer, tmp_path: Path
) -> None:
    sentinel = Sentinel(tmp_path, redis)
    hung = socket.create_server(("127.0.0.1", 0))  # the kernel accepts, and nobody answers
    port = hung.getsockname()[1]
    try:
        url = f"redis+sentinel://127.0.0.1:{port},127.0.0.1:{sentinel.port}/primary"
        segment = Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True)
        store = connect_limits(State(url=url, limit_timeout="50ms"), segment, Seen())
        assert store is not None
        store.start()
        begin = time.monotonic()
        while store._dispatchers[0].link is None:
            await asyncio.sleep(0.01)
            assert time.monotonic() - begin < 10
        await store.close()
    finally:
        hung.close()
        sentinel.close()
