"""Too slow, too large, too many."""

import contextlib
import select
import time
from typing import Any

import pytest

from tests.servers.plans import plan, route, service
from tests.servers.upstream import OK, REQUEST, Do
from tests.wire.errors import check_error

# The wheel turns every 100 ms; a loaded machine adds its own.
SLACK_S = 3.0
# On a busy machine a client sends this much more before it sees that it has been refused.
BLANKS_AHEAD = 1 << 17


@pytest.mark.parametrize(
    "part", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX: "], ids=repr
)
def test_slow_head(gateway: Any, echo: Any, part: bytes) -> None:
    with gateway(to=echo, limits={"head_timeout": 0.4}).connect() as client:
        begin = time.monotonic()
        client.send(part)
        check_error(client.recv_response(), 408, "request_timeout")
        assert 0.3 < time.monotonic() - begin < 0.4 + SLACK_S
        client.recv_eof()


def test_dripping_head_does_not_extend_its_time(gateway: Any, echo: Any) -> None:
    with gateway(to=echo, limits={"head_timeout": 0.4}).connect() as client:
        begin = time.monotonic()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
        while client.try_send(b"X: y\r\n") and client.is_open(0.05):
            assert time.monotonic() - begin < 0.4 + SLACK_S
    assert echo.requests == []


def test_connection_that_sends_nothing_is_closed(gateway: Any, echo: Any) -> None:
    limits = {"head_timeout": 0.3, "idle_timeout": 0.3}
    with gateway(to=echo, limits=limits).connect() as client:
        raw = client.recv_all()
        assert raw == b"" or raw.startswith(b"HTTP/1.1 408")


def test_slow_second_head_on_a_kept_connection(gateway: Any, echo: Any) -> None:
    with gateway(to=echo, limits={"head_timeout": 0.4}).connect() as client:
        assert client.get().status == 200
        client.send(b"GET / HT")
        check_error(client.recv_response(), 408, "request_timeout")
        client.recv_eof()


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 10\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"]
)
def test_slow_body(gateway: Any, scripted: Any, framing: bytes) -> None:
    upstream = scripted((*REQUEST,))
    with gateway(to=upstream, limits={"body_timeout": 0.4}).connect() as client:
        begin = time.monotonic()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing)
        check_error(client.recv_response(), 408, "request_timeout")
        assert time.monotonic() - begin < 0.4 + SLACK_S
        client.recv_eof()
    assert not upstream.connections or upstream.connections[0].ended.wait(8.0)


def test_many_slow_clients_harm_nobody(gateway: Any, echo: Any) -> None:
    running = gateway(to=echo)
    slow = [running.connect() for _ in range(200)]
    for client in slow:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
    with running.connect() as bystander:
        assert [bystander.get().status for _ in range(50)] == [200] * 50
    for client in slow:
        client.close()


def test_body_at_the_limit(gateway: Any, echo: Any) -> None:
    with gateway(to=echo, limits={"body": 1000}).connect() as client:
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
        assert client.request(head % 1000 + b"x" * 1000).status == 200
        check_error(client.request(head % 1001), 413, "body_too_large")
        client.recv_eof()


def test_chunked_body_past_the_limit(gateway: Any, echo: Any) -> None:
    with gateway(to=echo, limits={"body": 1000}).connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.try_send(b"64\r\n" + b"x" * 100 + b"\r\n")
        client.try_send((b"64\r\n" + b"x" * 100 + b"\r\n") * 20 + b"0\r\n\r\n")
        check_error(client.recv_response(), 413, "body_too_large")
        client.recv_eof()
    assert not [request for request in echo.requests if request.raw]


def test_chunked_body_at_the_limit(gateway: Any, echo: Any) -> None:
    with gateway(to=echo, limits={"body": 1000}).connect() as client:
        head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunk = b"64\r\n" + b"x" * 100 + b"\r\n"
        assert client.request(head + chunk * 10 + b"0\r\n\r\n").status == 200


def test_limit_of_a_route_beats_the_server_s(gateway: Any, echo: Any) -> None:
    routes = [route("/small", body=10), route("/off", body=0), route("/usual")]
    compiled = plan([service(echo.address)], routes, limits={"body": 100})
    running = gateway(compiled)

    def status(path: str, size: int) -> int:
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
        with running.connect() as client:
            client.try_send(head.encode() + b"x" * size)
            return client.recv_response().status

    assert status("/small", 10) == 200
    assert status("/small", 11) == 413
    assert status("/usual", 100) == 200
    assert status("/usual", 101) == 413
    assert status("/off", 5000) == 200


def test_head_limit_counts_the_whole_head(gateway: Any, echo: Any) -> None:
    with gateway(to=echo, limits={"head": 2048}).connect() as client:
        assert client.get("/", "X: " + "a" * 1500).status == 200
        response = client.get("/", *["X: " + "a" * 100] * 25)
        check_error(response, 431, "header_fields_too_large")
        client.recv_eof()


def test_connections_past_the_limit_are_refused_and_room_is_found_again(
    gateway: Any, echo: Any
) -> None:
    running = gateway(to=echo, limits={"connections": 3})
    held = [running.connect() for _ in range(3)]
    assert [client.get().status for client in held] == [200] * 3
    with running.connect() as surplus:
        surplus.try_send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with contextlib.suppress(EOFError):  # closed at once: as good
            check_error(surplus.recv_response(), 503, "connection_limit")
        surplus.recv_eof()
    held.pop().close()
    assert echo.wait_for(lambda: running.connections <= 2)
    with running.connect() as client:
        assert client.get().status == 200
    for client in held:
        assert client.get().status == 200
        client.close()


def test_limits_are_off_where_zero(gateway: Any, scripted: Any) -> None:
    """Timeouts of zero seconds mean never, not at once."""
    upstream = scripted((*REQUEST, 0.4, OK))
    timeouts = {"response": 0.0, "idle": 0.0, "total": 0.0}
    with gateway(to=upstream, timeouts=timeouts).connect() as client:
        assert client.get().status == 200


def test_total_timeout_bounds_a_dripping_response(gateway: Any, scripted: Any) -> None:
    drip: list[Any] = [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"]
    upstream = scripted((*REQUEST, *drip, *[0.05, b"x"] * 100))
    with gateway(to=upstream, timeouts={"total": 0.6}).connect() as client:
        begin = time.monotonic()
        response = client.get()
        assert not response.complete
        assert time.monotonic() - begin < 0.6 + SLACK_S
    assert upstream.connections[0].ended.wait(8.0)


def test_response_head_dripping_is_bounded(gateway: Any, scripted: Any) -> None:
    upstream = scripted((Do.HEAD, Do.BODY, b"HTTP/1.1 200 OK\r\n", *[0.05, b"X: y\r\n"] * 100))
    with gateway(to=upstream, timeouts={"response": 0.5}).connect() as client:
        begin = time.monotonic()
        check_error(client.get(), 504, "upstream_timeout")
        assert time.monotonic() - begin < 0.5 + SLACK_S


@pytest.mark.parametrize(
    ("start", "statuses"),
    [(b"GET / HTTP/1.1\r\nHost: a\r\nX:", {431}), (b"GET ", {400, 414, 431})],
    ids=["before a value", "before the target"],
)
def test_endless_blanks(gateway: Any, echo: Any, start: bytes, statuses: set[int]) -> None:
    """No byte of the head is free, also those that no parser reports."""
    limit = 16384
    with gateway(to=echo, limits={"head": limit}).connect() as client:
        client.send(start)
        sent = 0
        while not select.select([client.socket], [], [], 0.02)[0]:
            assert sent < limit + BLANKS_AHEAD, f"{sent} blanks and no answer"
            client.send(b" " * 4096)
            sent += 4096
        assert client.recv_response().status in statuses
        client.recv_eof()
    assert echo.requests == []
