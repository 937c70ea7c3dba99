"""Hedged requests: who wins, what becomes of the other one, and what is never hedged."""

import time
from typing import Any

import pytest

from tests.servers.plans import endpoint, plan, service
from tests.servers.upstream import OK, REQUEST, Do
from tests.wire.errors import check_error

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PUT = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd"
FIRST = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"
FAILED = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
HANGS = (*REQUEST,)
ANSWERS = (*[*REQUEST, OK] * 50,)
AFTER_S = 0.05


class Pair:
    """Two endpoints of which all first attempts go to the first one."""

    def __init__(self, gateway: Any, first: Any, second: Any, **settings: Any) -> None:
        self.first, self.second = first, second
        endpoints = [endpoint(first.address, 65_535), endpoint(second.address, 1)]
        hedge = {"quantile": 0.0, "delay": AFTER_S} | settings.pop("hedge", {})
        retries = {"hedge": hedge, "backoff": 0.001} | settings.pop("retries", {})
        outlier: dict[str, Any] = {"outlier": {"consecutive_failures": 0, "failure_ratio": 0.9}}
        self.gateway = gateway(
            plan([service(endpoints=endpoints, retries=retries, **outlier | settings)])
        )

    def connect(self) -> Any:
        return self.gateway.connect()

    def counted(self) -> tuple[int, int, int]:
        """Hedges sent, won, failed."""
        counters = self.gateway.segment.collect()["services"]["echo"]
        names = ("hedges", "hedges_won", "hedges_failed")
        sent, won, failed = (counters[f"upstream_{name}_total"] for name in names)
        return sent, won, failed

    def in_flight(self) -> list[int]:
        segment = self.gateway.segment
        urls = [f"http://{host}:{port}" for host, port in (self.first.address, self.second.address)]
        places = [segment.place(f"echo {url}", 0) for url in urls]
        return [segment.endpoint(place, 1)["in_flight"] for place in places]

    def is_quiet(self, open_connections: int) -> bool:
        """Nothing is under way, and so many connections to the endpoints are kept."""
        return self.first.wait_for(
            lambda: (
                self.gateway.exchanges == 0
                and self.first.open_connections + self.second.open_connections == open_connections
            )
        ) and self.in_flight() == [0, 0]

    def outcomes(self, count: int = 1) -> list[str | None]:
        return [entry.get("hedge") for entry in self.gateway.log_entries(count)]


@pytest.fixture
def pair(gateway: Any, scripted: Any) -> Any:
    def start(first: Any, second: Any, **settings: Any) -> Pair:
        settings = {"balance": "least_request"} | settings
        return Pair(gateway, scripted(*first), scripted(*second), **settings)

    return start


@pytest.mark.parametrize("request_bytes", [GET, PUT])
def test_the_second_wins(pair: Any, request_bytes: bytes) -> None:
    running = pair([HANGS], [ANSWERS])
    with running.connect() as client:
        begin = time.monotonic()
        response = client.request(request_bytes)
        took = time.monotonic() - begin
    assert (response.status, response.body) == (200, b"ok")
    assert AFTER_S <= took < 5
    assert running.first.requests[0].raw == running.second.requests[0].raw, "byte by byte"
    assert running.counted() == (1, 1, 0)
    assert running.outcomes() == ["won"]
    (entry,) = running.gateway.log_entries(1)
    assert entry["upstream"].endswith(str(running.second.address[1]))
    assert running.is_quiet(open_connections=1)


def test_the_first_wins(pair: Any) -> None:
    running = pair([(*REQUEST, 3 * AFTER_S, FIRST, *REQUEST, FIRST)], [HANGS])
    with running.connect() as client:
        assert client.get().body == b"first"
        assert running.second.wait_for(lambda: running.second.open_connections == 0)
        assert client.get().body == b"first", "its connection is used again"
    assert len(running.second.requests) == 1
    assert len(running.first.connections) == 1
    assert running.counted() == (1, 0, 0)
    assert running.outcomes(2) == ["lost", None]
    assert running.is_quiet(open_connections=1)


def test_a_fast_answer_is_not_hedged(pair: Any) -> None:
    running = pair([ANSWERS], [ANSWERS])
    with running.connect() as client:
        assert [client.get().status for _ in range(20)] == [200] * 20
        time.sleep(2 * AFTER_S)
    assert running.counted() == (0, 0, 0)
    assert running.second.requests == []


def test_the_winner_s_connection_and_the_client_s_are_used_again(pair: Any) -> None:
    running = pair([HANGS], [ANSWERS])
    with running.connect() as client:
        client.send(GET * 3)
        assert [client.recv_response().body for _ in range(3)] == [b"ok"] * 3
    assert len(running.first.connections) == 3, "each loser's is closed"
    assert len(running.second.connections) == 1
    assert running.is_quiet(open_connections=1)


def test_a_loser_inside_its_head_is_cut_off(pair: Any) -> None:
    halfway = (*REQUEST, b"HTTP/1.1 200 OK\r\nContent-Le")
    running = pair([halfway], [ANSWERS])
    with running.connect() as client:
        assert client.get().body == b"ok"
        assert client.get().body == b"ok"
    assert running.is_quiet(open_connections=1)


def test_a_winner_that_breaks_off_is_not_replaced(pair: Any) -> None:
    cut = (*REQUEST, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", Do.CLOSE)
    running = pair([(*REQUEST, 0.5, FIRST)], [cut])
    with running.connect() as client:
        response = client.get()
        assert (response.body, response.complete) == (b"abc", False)
    assert running.is_quiet(open_connections=0)


def test_both_fail(pair: Any) -> None:
    running = pair(
        [(*REQUEST, 3 * AFTER_S, Do.RESET)],
        [(*REQUEST, Do.RESET)],
        breaker={"min_requests": 2, "open_for": 30.0},
    )
    with running.connect() as client:
        check_error(client.get(), 502, "upstream_reset")
        assert running.counted() == (1, 0, 1)
        assert running.outcomes() == ["failed"]
        check_error(client.get(), 503, "circuit_open")  # two attempts, two reports
    assert running.is_quiet(open_connections=0)


def test_the_first_fails_while_the_second_is_under_way(pair: Any) -> None:
    for end in (Do.RESET, FAILED, b"garbage\r\n\r\n"):
        running = pair([(*REQUEST, 2 * AFTER_S, end)], [(*REQUEST, 4 * AFTER_S, OK)])
        with running.connect() as client:
            assert client.get().body == b"ok"
        assert running.counted() == (1, 1, 0)
        assert running.is_quiet(open_connections=1)


def test_the_second_fails_and_the_first_answers(pair: Any) -> None:
    for end in (Do.RESET, FAILED, b"garbage\r\n\r\n"):
        running = pair([(*REQUEST, 4 * AFTER_S, FIRST)], [(*REQUEST, end)])
        with running.connect() as client:
            assert client.get().body == b"first"
        assert running.counted() == (1, 0, 1)
        assert running.outcomes() == ["failed"]
        assert running.is_quiet(open_connections=1)


def test_another_retry_after_both_have_failed(pair: Any) -> None:
    running = pair(
        [(*REQUEST, 3 * AFTER_S, Do.RESET), ANSWERS],
        [(*REQUEST, Do.RESET), ANSWERS],
        retries={"attempts": 3},
    )
    with running.connect() as client:
        assert client.get().body == b"ok"
    assert len(running.first.requests) + len(running.second.requests) == 3


def test_a_client_that_leaves_ends_both(pair: Any) -> None:
    running = pair([HANGS], [HANGS], bulkhead={"max_requests": 1})
    client = running.connect()
    client.send(GET)
    assert running.second.wait_for(lambda: len(running.second.requests) == 1)
    client.reset()
    assert running.is_quiet(open_connections=0)
    assert running.counted() == (1, 0, 0)


def test_the_total_time_ends_both(pair: Any) -> None:
    running = pair([HANGS], [HANGS], timeouts={"total": 0.3})
    with running.connect() as client:
        begin = time.monotonic()
        check_error(client.get(), 504, "upstream_timeout")
        assert time.monotonic() - begin < 5
    told = int(running.second.requests[0].get("x-request-timeout-ms") or 0)
    assert 0 < told <= 250, "what is left when the hedge is sent"
    assert running.is_quiet(open_connections=0)


@pytest.mark.parametrize(
    ("request_bytes", "settings"),
    [
        (b"POST" + PUT[3:], {}),
        (PUT, {"retries": {"body": 3}}),
        (GET, {"retries": {"attempts": 1}}),
    ],
)
def test_what_may_not_be_sent_twice_is_not(
    pair: Any, request_bytes: bytes, settings: dict[str, Any]
) -> None:
    running = pair([(*REQUEST, 3 * AFTER_S, FIRST)], [ANSWERS], **settings)
    with running.connect() as client:
        assert client.request(request_bytes).body == b"first"
    assert running.counted() == (0, 0, 0)


def test_an_allowed_post_is_hedged(pair: Any) -> None:
    running = pair([HANGS], [ANSWERS], retries={"methods": ["POST"]})
    with running.connect() as client:
        assert client.request(b"POST" + PUT[3:]).body == b"ok"
    assert running.second.requests[0].body == b"abcd"


def test_an_unfinished_body_is_not_hedged(pair: Any) -> None:
    running = pair([(*REQUEST, FIRST)], [ANSWERS])
    with running.connect() as client:
        client.send(PUT[:-2])
        time.sleep(3 * AFTER_S)
        client.send(PUT[-2:])
        assert client.recv_response().body == b"first"
    assert running.counted() == (0, 0, 0)


def test_probes_of_a_breaker_are_not_hedged(pair: Any) -> None:
    running = pair(
        [(*REQUEST, Do.RESET), (*REQUEST, 3 * AFTER_S, FIRST)],
        [ANSWERS],
        retries={"causes": []},
        breaker={"min_requests": 1, "open_for": 0.2, "half_open_requests": 2},
    )
    with running.connect() as client:
        check_error(client.get(), 502, "upstream_reset")
        time.sleep(0.25)
        assert client.get().body == b"first"
    assert running.counted() == (0, 0, 0)


def test_the_budget_bounds_hedges(pair: Any) -> None:
    slow = (*[*REQUEST, 2 * AFTER_S, FIRST] * 30,)
    running = pair([slow], [ANSWERS], retries={"budget": 0.001}, hedge={"delay": 0.01})
    with running.connect() as client:
        bodies = [client.get().body for _ in range(13)]
    assert bodies == [b"ok"] * 10 + [b"first"] * 3, "ten in reserve"
    assert running.counted() == (10, 10, 0)
    denied = running.gateway.segment.collect()["services"]["echo"]["upstream_retries_denied_total"]
    assert denied == 3


def test_the_only_endpoint_is_not_asked_twice(gateway: Any, scripted: Any) -> None:
    alone = scripted((*REQUEST, 3 * AFTER_S, FIRST))
    hedge = {"quantile": 0.0, "delay": AFTER_S}
    with gateway(plan([service(alone.address, retries={"hedge": hedge})])).connect() as client:
        assert client.get().body == b"first"
    assert len(alone.requests) == 1


def test_the_delay_is_what_the_service_usually_takes(pair: Any) -> None:
    script = (*[*REQUEST, OK] * 20, *REQUEST, 0.3, FIRST, *[*REQUEST, OK] * 120, *REQUEST)
    running = pair([script], [ANSWERS], hedge={"quantile": 0.95, "delay": 0.15})
    with running.connect() as client:
        assert [client.get().status for _ in range(20)] == [200] * 20
        assert client.get().body == b"first", "nothing is known yet: not hedged"
        assert [client.get().status for _ in range(120)] == [200] * 120
        begin = time.monotonic()
        assert client.get().body == b"ok"
        assert 0.15 <= time.monotonic() - begin < 5
    assert running.counted() == (1, 1, 0)


HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("length", [b"Content-Length: 5\r\n", b""])
def test_the_answer_to_a_hedged_head_has_no_body(pair: Any, length: bytes) -> None:
    head_only = b"HTTP/1.1 200 OK\r\n" + length + b"\r\n"
    running = pair([HANGS], [(*REQUEST, head_only, *[*REQUEST, OK] * 3)])
    with running.connect() as client:
        answer = client.request(HEAD, "HEAD")
        assert (answer.status, answer.body) == (200, b"")
        assert client.get().body == b"ok", "the connection goes on with the next answer"
    assert running.outcomes(1) == ["won"]


def test_a_fallback_is_not_hedged_for_the_service_that_failed(gateway: Any, scripted: Any) -> None:
    """It is under way when the first service's delay is over, and has no hedging of its own."""
    failing = scripted(*[(*REQUEST, Do.CLOSE)] * 4)
    slow = scripted((*REQUEST, 4 * AFTER_S, OK))
    hedge = {"quantile": 0.0, "delay": AFTER_S}
    outlier = {"consecutive_failures": 0, "failure_ratio": 0.9}
    first = service(
        endpoints=[endpoint(failing.address, 1), endpoint(failing.address, 1)],
        retries={"hedge": hedge, "on": ["503"]},
        balance="least_request",
        fallback={"service": 1, "status": 503, "headers": {}, "body": ""},
    )
    other = service(slow.address, name="other", balance="least_request", outlier=outlier)
    with gateway(plan([first, other])).connect() as client:
        answer = client.get()
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.get("x-gateway-fallback") == "service"


@pytest.mark.parametrize("method", [b"POST", b"GET"])
def test_who_finds_the_queue_full_is_not_hedged(pair: Any, method: bytes) -> None:
    pool = {"max_connections": 1, "max_queue": 1}
    hedge = {"delay": 5.0}
    running = pair([HANGS], [ANSWERS], pool=pool, hedge=hedge, balance="weighted_round_robin")
    clients = [running.connect() for _ in range(3)]
    for client in clients[:2]:
        client.send(GET)
        time.sleep(0.05)
    refused = clients[2].request(method + b" / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    check_error(refused, 503, "upstream_overloaded")
    assert running.counted()[0] == 0
    for client in clients:
        client.reset()
    assert running.first.wait_for(lambda: running.gateway.exchanges == 0)
