"""Mirror traffic: what the mirror gets, that no client notices it, and what bounds it."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers.plans import plan, route, service
from tests.servers.upstream import OK, REQUEST, Do, unused_address

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PUT = b"PUT /a/b?c=d HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd"
CHUNKED = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
ANSWERS = (*[*REQUEST, OK] * 200,)
FAILED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n\r\nbad"


class Mirrored:
    """A service, and a mirror beside it."""

    def __init__(self, gateway: Any, mirror: Any, main: Any, **settings: Any) -> None:
        self.main, self.mirror = main, mirror
        spec = {
            "service": 1, "share": 1.0, "by": None, "max_requests": 64, "max_body": 65_536,
            "credentials": False,
        } | settings.pop("spec", {})  # fmt: skip
        address = getattr(mirror, "address", mirror)
        self.plan = plan(
            [service(main.address), service(address, name="mirror", **settings)],
            [route(mirror=spec)],
        )
        self.gateway = gateway(self.plan)

    def connect(self) -> Any:
        return self.gateway.connect()

    def counted(self) -> tuple[int, int, int]:
        """Copies sent, dropped, failed."""
        counters = self.gateway.segment.collect()["services"].get("mirror", {})
        names = ("mirrored_total", "mirror_dropped_total", "mirror_failed_total")
        sent, dropped, failed = (counters.get(name, 0) for name in names)
        return sent, dropped, failed

    def wait_for_copies(self, count: int) -> list[Any]:
        """Requests that the mirror got; there are no more within a moment."""
        self.mirror.wait_for(lambda: sum(bool(each.raw) for each in self.mirror.requests) >= count)
        time.sleep(0.05)
        return [request for request in self.mirror.requests if request.raw]


@pytest.fixture
def mirrored(gateway: Any, scripted: Any, echo: Any) -> Iterator[Any]:
    started: list[Mirrored] = []

    def start(mirror: Any = None, main: Any = None, **settings: Any) -> Mirrored:
        """`mirror`: scripts, or an address; by default it answers."""
        if not isinstance(mirror, tuple):
            mirror = scripted(*(mirror or [ANSWERS]))
        running = Mirrored(gateway, mirror, scripted(*main) if main else echo, **settings)
        started.append(running)
        return running

    yield start
    for running in started:
        assert running.main.wait_for(lambda: running.gateway.exchanges == 0)  # noqa: B023


@pytest.mark.parametrize("request_bytes", [GET, PUT, CHUNKED + b"2\r\nde\r\n0\r\nX-T: 1\r\n\r\n"])
def test_the_mirror_gets_a_copy(mirrored: Any, request_bytes: bytes) -> None:
    running = mirrored()
    with running.connect() as client:
        response = client.request(request_bytes)
        assert response.status == 200
        (copy,) = running.wait_for_copies(1)
    (original,) = running.main.requests
    assert (copy.method, copy.target, copy.body) == (
        original.method,
        original.target,
        original.body,
    )
    marked = [*original.headers, ("x-gateway-mirror", "1")]
    told = [(name, value) for name, value in copy.headers if name != "x-request-timeout-ms"]
    assert told == marked, "field by field, the correlation id included"
    assert running.counted() == (1, 0, 0)
    assert len(running.gateway.log_entries(1)) == 1, "a copy is no request"


def test_nobody_else_can_mark_a_request(mirrored: Any) -> None:
    running = mirrored()
    with running.connect() as client:
        client.get("/", "X-Gateway-Mirror: 1")
    assert running.main.requests[0].get("x-gateway-mirror") is None


def test_credentials_stay_behind(mirrored: Any) -> None:
    fields = ("Authorization: Basic abc", "X-API-Key: k", "Cookie: a=b", "Accept: x/y")
    running = mirrored()
    with running.connect() as client:
        client.get("/", *fields)
        (copy,) = running.wait_for_copies(1)
    names = {name for name, _ in copy.headers}
    assert "accept" in names
    assert not names & {"authorization", "x-api-key", "cookie"}
    assert running.main.requests[0].get("cookie") == "a=b"
    running = mirrored(spec={"credentials": True})
    with running.connect() as client:
        client.get("/", *fields)
        (copy,) = running.wait_for_copies(1)
    assert (copy.get("authorization"), copy.get("x-api-key"), copy.get("cookie")) == (
        "Basic abc",
        "k",
        "a=b",
    )


@pytest.mark.parametrize(
    "script",
    [
        (*REQUEST,),
        (*REQUEST, Do.RESET),
        (*REQUEST, b"garbage\r\n\r\n"),
        (*REQUEST, FAILED),
        (*REQUEST, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", Do.CLOSE),
    ],
)
def test_a_mirror_that_fails_is_not_noticed(mirrored: Any, script: Any) -> None:
    running = mirrored([script], timeouts={"response": 2.0})
    with running.connect() as client:
        for _ in range(3):
            begin = time.monotonic()
            assert client.request(PUT).status == 200
            assert time.monotonic() - begin < 1.8
    assert running.mirror.wait_for(lambda: running.counted() == (3, 0, 3))


def test_a_mirror_that_cannot_be_reached(mirrored: Any) -> None:
    running = mirrored(unused_address())
    with running.connect() as client:
        assert [client.get().status for _ in range(5)] == [200] * 5
    assert running.main.wait_for(lambda: running.counted() == (5, 0, 5))


def test_the_client_may_be_gone_before_the_copy(mirrored: Any) -> None:
    hold = threading.Event()
    running = mirrored([(*REQUEST, hold, OK)])
    client = running.connect()
    client.send(GET)
    client.recv_response()
    client.reset()
    running.wait_for_copies(1)
    hold.set()
    assert running.mirror.wait_for(lambda: running.counted() == (1, 0, 0))
    assert running.mirror.open_connections == 1, "kept alive"


def test_copies_under_way_are_bounded(mirrored: Any) -> None:
    hold = threading.Event()
    running = mirrored([(*REQUEST, hold, OK, *ANSWERS)], spec={"max_requests": 2})
    with running.connect() as client:
        assert [client.get().status for _ in range(5)] == [200] * 5
        running.wait_for_copies(2)
        assert running.counted() == (2, 3, 0)
        running.gateway.install(running.plan | {"generation": 2})
        client.get()
        assert running.counted() == (2, 4, 0), "a reload makes no room"
        hold.set()
        assert running.mirror.wait_for(lambda: client.get() and running.counted()[0] == 3)


def test_bodies_are_bounded(mirrored: Any) -> None:
    running = mirrored(spec={"max_body": 4})
    with running.connect() as client:
        assert client.request(PUT).status == 200
        running.wait_for_copies(1)
        assert running.counted() == (1, 0, 0)
        too_large = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde"
        assert client.request(too_large).status == 200
        assert client.request(CHUNKED + b"2\r\nde\r\n0\r\n\r\n").status == 200
    assert running.counted() == (1, 2, 0)
    assert [request.body for request in running.main.requests] == [b"abcd", b"abcde", b"abcde"]


def test_a_body_that_never_ends_is_not_sent(mirrored: Any) -> None:
    running = mirrored()
    client = running.connect()
    client.send(CHUNKED)
    assert running.main.wait_for(lambda: running.main.received > 50)
    client.reset()
    assert running.main.wait_for(lambda: running.counted() == (0, 1, 0))
    assert running.wait_for_copies(0) == []


def test_an_answer_before_the_body_ends_drops_the_copy(mirrored: Any) -> None:
    running = mirrored(main=[(Do.HEAD, OK, *ANSWERS)])
    with running.connect() as client:
        client.send(CHUNKED)
        assert client.recv_response().status == 200
    assert running.main.wait_for(lambda: running.counted() == (0, 1, 0))


def test_a_share_of_the_requests(mirrored: Any) -> None:
    running = mirrored(spec={"share": 0.25})
    with running.connect() as client:
        for _ in range(200):
            client.get()
        copies = running.wait_for_copies(30)
    assert 25 < len(copies) < 80


def test_the_same_callers_are_always_mirrored(mirrored: Any) -> None:
    by = {"source": "header", "name": "x-user-id"}
    running = mirrored(spec={"share": 0.5, "by": by, "max_requests": 1000})
    with running.connect() as client:
        for user in range(20):
            for _ in range(3):
                client.get("/", f"X-User-Id: {user}")
        # X-User-Id is the gateway's own: what a client says of it does not go on.
        sent = running.wait_for_copies(3)
    assert len(sent) % 3 == 0
    assert 0 < len(sent) < 60


def test_a_pipelined_client_gets_its_answers_at_once(mirrored: Any) -> None:
    running = mirrored([(*REQUEST,)], timeouts={"response": 5.0})
    with running.connect() as client:
        begin = time.monotonic()
        client.send(GET * 20)
        assert [client.recv_response().status for _ in range(20)] == [200] * 20
        assert time.monotonic() - begin < 4


def test_the_breaker_of_the_mirror_holds_for_copies_alone(mirrored: Any) -> None:
    running = mirrored([(*[*REQUEST, FAILED] * 5,)], breaker={"min_requests": 2, "open_for": 30.0})
    with running.connect() as client:
        for number in range(1, 5):
            assert client.get().status == 200
            assert running.mirror.wait_for(lambda: running.counted() == (number, 0, number))  # noqa: B023
    assert len(running.mirror.requests) == 2


def test_copies_under_way_end_with_the_worker(mirrored: Any) -> None:
    running = mirrored([(*REQUEST,)])
    with running.connect() as client:
        client.get()
    running.wait_for_copies(1)
    running.gateway.run(running.gateway.worker.close)
    assert running.mirror.wait_for(lambda: running.mirror.open_connections == 0)
