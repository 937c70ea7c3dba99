"""Limits that hosts share: what a worker asks the store, and what it does if that is silent."""

import asyncio
import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.cext.lane import number_of_lane
from tests.servers.limit_store import ModelStore
from tests.servers.plans import plan, rate_limit, route, service
from tests.servers.upstream import OK, REQUEST, Do
from tests.wire.errors import check_error

TAGS = tuple(b":{%d}" % number for number in range(16))


def shared(upstream: Any, *limits: dict[str, Any], **changes: Any) -> dict[str, Any]:
    routes = [route(rate_limits=list(range(len(limits))), **changes)]
    return plan([service(upstream.address)], routes, rate_limits=list(limits))


def exact(name: str, limit: int, **changes: Any) -> dict[str, Any]:
    return rate_limit(name, limit=limit, period=3600, **({"mode": "exact"} | changes))


@pytest.fixture
def with_store(gateway: Any) -> Callable[..., tuple[Any, ModelStore]]:
    def start(compiled: dict[str, Any], tags: tuple[bytes, ...] = (b"",)) -> tuple[Any, ModelStore]:
        running = gateway(compiled)
        store = ModelStore(running._loop, tags)
        running.run(lambda: running.worker.share_limits(store))
        return running, store

    return start


Start = Callable[..., tuple[Any, ModelStore]]


def test_the_store_decides_and_its_answer_is_shown(with_store: Start, echo: Any) -> None:
    running, _ = with_store(shared(echo, exact("few", 2)))
    with running.connect() as client:
        answers = [client.get() for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [answer.get("x-ratelimit-remaining") for answer in answers] == ["1", "0", "0"]
    assert answers[2].get("retry-after") == "60"
    counted = running.segment.collect()["limits"]["few", "/{path...}"]
    assert counted["rate_limit_allowed_total"] == 2
    assert counted["rate_limit_exceeded_total"] == 1


def test_keys_are_those_of_the_guide_and_escaped(with_store: Start, echo: Any) -> None:
    by_header = exact("h", 9, key="header", argument="x-tenant")
    windows = exact("w", 9, algorithm="sliding_window", key="route")
    fixed = exact("f", 9, algorithm="fixed_window", key="service")
    running, store = with_store(
        shared(echo, by_header, windows, fixed, exact("g", 9, key="global"))
    )
    with running.connect() as client:
        client.get("/", "X-Tenant: a b{c}:\u00fc%")
        client.get("/")
    keys = [asked.key for request in store.asked for asked in request]
    assert keys[:4] == [
        "rate_limit:header:a%20b%7Bc%7D%3A%FC%25:h",
        "rate_limit:sliding:route:/%7Bpath...%7D:w",
        "rate_limit:fixed:service:echo:f",
        "rate_limit:global:g",
    ]
    assert keys[4] == "rate_limit:ip:127.0.0.1:h"


def test_all_requests_of_a_turn_are_one_call(with_store: Start, echo: Any) -> None:
    running, store = with_store(shared(echo, exact("many", 100)))
    store.held = True
    clients = [running.connect() for _ in range(20)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    while running.exchanges < 20:
        time.sleep(0.01)
    time.sleep(0.05)
    store.held = False
    running.run(lambda: store.answer(0))
    assert [client.recv_response().status for client in clients] == [200] * 20
    assert store.calls == 1
    for client in clients:
        client.close()


def test_a_refusal_of_the_store_takes_nothing_of_this_host(with_store: Start, echo: Any) -> None:
    here = rate_limit("here", limit=5, period=3600)
    running, _ = with_store(shared(echo, here, exact("there", 1)))
    with running.connect() as client:
        assert [client.get().status for _ in range(4)] == [200, 429, 429, 429]
        running.install(shared(echo, here))
        assert client.get().get("x-ratelimit-remaining") == "3"


def names_in_lanes(*lanes: int) -> list[str]:
    """Names of policies whose keys are in these lanes."""
    numbers = {number_of_lane(f"rate_limit:global:p{n}", 16): f"p{n}" for n in range(500)}
    return [numbers[lane] for lane in lanes]


def test_what_one_node_refuses_is_given_back_by_the_others(with_store: Start, echo: Any) -> None:
    one, two, three = names_in_lanes(3, 8, 8)
    limits = [exact(one, 9, key="global"), exact(two, 1, key="global")]
    running, store = with_store(shared(echo, *limits), TAGS)
    with running.connect() as client:
        assert [client.get().status for _ in range(4)] == [200, 429, 429, 429]
    running.run(lambda: None)
    assert store.used == {f"rate_limit:global:{one}:{{3}}": 1, f"rate_limit:global:{two}:{{8}}": 1}
    assert three == two


@pytest.mark.parametrize("when", ["before", "while"])
def test_a_node_that_is_away_leaves_the_decision_to_this_host(
    with_store: Start, echo: Any, when: str
) -> None:
    one, two = names_in_lanes(3, 8)
    limits = [exact(one, 2, key="global"), exact(two, 9, key="global")]
    running, store = with_store(shared(echo, *limits), TAGS)
    store.lost.add(8)
    store.lanes[8].away = when == "before"
    with running.connect() as client:
        answers = [client.get() for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
    running.run(lambda: None)
    assert store.used.get(f"rate_limit:global:{one}:{{3}}", 0) == 0, "given back"


def test_who_goes_away_while_the_store_is_asked_is_forgotten(
    with_store: Start, scripted: Any
) -> None:
    upstream = scripted([*REQUEST, OK])
    running, store = with_store(shared(upstream, exact("few", 5)))
    store.held = True
    with running.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        while running.exchanges < 1:
            time.sleep(0.01)
        client.reset()
    while running.exchanges:
        time.sleep(0.01)
    store.held = False
    running.run(lambda: store.answer(0))
    with running.connect() as client:
        assert client.get().status == 200
    assert len(upstream.connections) == 1


def test_the_store_learns_what_a_request_has_cost(with_store: Start, scripted: Any) -> None:
    cost = b"HTTP/1.1 200 OK\r\nX-Cost: %d\r\nContent-Length: 0\r\n\r\n"
    upstream = scripted([*REQUEST, cost % 7, *REQUEST, cost % 1])
    policy = exact("costed", 100, weight=3, weight_header="x-cost")
    running, store = with_store(shared(upstream, policy))
    with running.connect() as client:
        answers = [client.get() for _ in range(2)]
    running.run(lambda: None)
    assert [answer.get("x-ratelimit-remaining") for answer in answers] == ["97", "90"]
    assert list(store.used.values()) == [8]


@pytest.mark.parametrize(("stance", "status"), [("allow", 200), ("deny", 503), ("local", 429)])
def test_without_the_store_the_stance_decides(
    with_store: Start, echo: Any, stance: str, status: int
) -> None:
    running, store = with_store(shared(echo, exact("few", 1, on_failure=stance)))
    store.lost.add(0)
    with running.connect() as client:
        client.get()
        answer = client.get()
        if status == 503:
            check_error(answer, 503, "limiter_unavailable")
        assert answer.status == status


S = 1_000_000_000


@dataclass
class LeasingStore(ModelStore):
    """Answers each fetch alike: as many tokens, or none, or not at all."""

    granted: int | None = 0
    segment: Any = None
    fetches: int = 0

    async def lease(self, questions: list[Any]) -> bool:
        self.fetches += 1
        await asyncio.sleep(0.002)
        if self.granted is None:
            return False
        for limits, _, allowance, key, _ in questions:
            retry_ns = 0 if self.granted else 20 * S
            now_ns = time.monotonic_ns()
            limits.grant(
                self.segment,
                allowance.lease_rule,
                key,
                self.granted,
                10 * S,
                0,
                0,
                retry_ns,
                now_ns,
            )
        return True

    async def top_up(self, question: Any) -> None:
        await self.lease([question])


def leased(name: str, limit: int, **changes: Any) -> dict[str, Any]:
    policy = exact(name, limit, **({"mode": "leased"} | changes))
    policy["allowance"]["lease"] = 5
    return policy


@pytest.fixture
def with_leases(gateway: Any) -> Callable[..., tuple[Any, LeasingStore]]:
    def start(compiled: dict[str, Any], granted: int | None) -> tuple[Any, LeasingStore]:
        running = gateway(compiled)
        store = LeasingStore(running._loop, granted=granted, segment=running.segment)
        running.run(lambda: running.worker.share_limits(store))
        return running, store

    return start


WithLeases = Callable[..., tuple[Any, LeasingStore]]


def test_a_lease_that_is_refused_gives_nothing_back_that_was_not_taken(
    with_leases: WithLeases, echo: Any
) -> None:
    here = rate_limit("here", limit=5, period=3600)
    running, store = with_leases(shared(echo, here, leased("there", 10)), 0)
    with running.connect() as client:
        assert [client.get().status for _ in range(3)] == [429] * 3
        running.install(shared(echo, here))
        assert client.get().get("x-ratelimit-remaining") == "4"
    assert store.fetches == 1, "the refusal is remembered"


def test_a_policy_of_this_host_holds_while_the_leases_are_away(
    with_leases: WithLeases, echo: Any
) -> None:
    here = rate_limit("here", limit=5, period=3600)
    running, _ = with_leases(shared(echo, here, leased("there", 10, on_failure="allow")), None)
    with running.connect() as client:
        assert [client.get().status for _ in range(8)] == [200] * 5 + [429] * 3


def test_a_lease_that_is_only_counted_charges_the_others_once(
    with_leases: WithLeases, echo: Any
) -> None:
    here = rate_limit("here", limit=50, period=3600)
    running, _ = with_leases(shared(echo, here, leased("dry", 10, dry_run=True)), 0)
    with running.connect() as client:
        left = [client.get().get("x-ratelimit-remaining") for _ in range(4)]
    assert left == ["49", "48", "47", "46"]


def test_the_last_refusal_of_a_lease_says_when_to_come_back(
    with_leases: WithLeases, echo: Any
) -> None:
    running, store = with_leases(shared(echo, leased("big", 100, weight=50)), 5)
    store.granted = 1
    with running.connect() as client:
        refused = client.get()
    check_error(refused, 429, "rate_limited")
    assert refused.get("retry-after") == "1"
    assert store.fetches == 8


def test_a_log_of_this_host_gets_its_place_back_however_long_the_store_took(
    with_store: Start, echo: Any
) -> None:
    here = rate_limit("here", limit=5, period=3600, algorithm="sliding_window")
    running, store = with_store(shared(echo, here, exact("there", 1)))
    with running.connect() as client:
        assert client.get().status == 200
        for _ in range(2):
            store.held = True
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(0.25)  # two ticks: the worker's clock has gone on
            store.held = False
            running.run(lambda: store.answer(0))
            assert client.recv_response().status == 429
        running.install(shared(echo, here))
        assert client.get().get("x-ratelimit-remaining") == "3"


def test_a_cost_is_multiplied_as_the_request_was(with_store: Start, scripted: Any) -> None:
    """While the store is away a host has its share: each request costs as much as one on each."""
    cost = b"HTTP/1.1 200 OK\r\nX-Cost: %d\r\nContent-Length: 0\r\n\r\n"
    upstream = scripted([*REQUEST, cost % 10, *REQUEST, cost % 20])
    policy = exact("costed", 100, weight=10, weight_header="x-cost")
    running, _ = with_store(shared(upstream, policy))
    running.run(lambda: running.worker.limit_store_is(True, False, 4))
    with running.connect() as client:
        answers = [client.get() for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [answer.get("x-ratelimit-remaining") for answer in answers] == ["60", "20", "0"]


def test_what_is_under_way_stays_counted_when_the_store_is_lost(
    with_store: Start, scripted: Any
) -> None:
    release = threading.Event()
    upstream = scripted(*[(Do.HEAD, release, OK)] * 3)
    flight = rate_limit("flight", limit=1, period=0, algorithm="concurrent", early=True)
    running, store = with_store(shared(upstream, flight, exact("there", 9)))
    store.lost.add(0)
    clients = [running.connect() for _ in range(3)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.05)
    refused = [client.recv_response().status for client in clients[1:]]
    release.set()
    assert refused == [429, 429]
    assert clients[0].recv_response().status == 200
    for client in clients:
        client.close()


def test_a_name_of_any_length_makes_a_short_key(with_store: Start, echo: Any) -> None:
    policy = exact("h", 9, key="header", argument="x-tenant")
    running, store = with_store(shared(echo, policy))
    with running.connect() as client:
        for name in ("a" * 128, "\u00fc" * 129, "b" * 15_000):
            client.get("/", f"X-Tenant: {name}")
    keys = [asked.key for request in store.asked for asked in request]
    assert keys[0] == f"rate_limit:header:{'a' * 128}:h"
    digests = [hashlib.sha256(name).hexdigest() for name in (b"\xfc" * 129, b"b" * 15_000)]
    assert keys[1:] == [f"rate_limit:header:sha256:{digest}:h" for digest in digests]


def test_tiers_that_are_kept_in_different_ways_have_different_keys(
    with_store: Start, echo: Any
) -> None:
    small = exact("s", 100, algorithm="sliding_window", key="global")
    large = exact("s", 5000, algorithm="sliding_window", key="global")
    running, store = with_store(shared(echo, small))
    with running.connect() as client:
        client.get()
        running.install(shared(echo, large))
        client.get()
    keys = [asked.key for request in store.asked for asked in request]
    assert keys == ["rate_limit:sliding:global:s", "rate_limit:sliding_counter:global:s"]


def test_a_reload_while_the_store_is_asked(with_store: Start, echo: Any) -> None:
    """The request goes on by the plan that it began with."""
    running, store = with_store(shared(echo, exact("old", 1), rate_limit("here", limit=9)))
    store.held = True
    with running.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        while running.exchanges < 1:
            time.sleep(0.01)
        for number in range(20):
            running.install(shared(echo, exact(f"new{number}", 1)))
        store.held = False
        running.run(lambda: store.answer(0))
        answer = client.recv_response()
    assert answer.status == 200
    assert '"old"' in (answer.get("ratelimit-policy") or "")
