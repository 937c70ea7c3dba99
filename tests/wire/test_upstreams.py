"""Upstreams that refuse, die, stall or are full: each has its status, its code and its bound."""

import json
import socket
import threading
import time
from typing import Any

import pytest

from tests.servers.plans import endpoint, plan, service, unix_endpoint
from tests.servers.upstream import OK, REQUEST, Do, unused_address
from tests.wire.errors import check_error

SLACK_S = 3.0
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd"
DIES_AFTER_ONE = (*REQUEST, OK, *REQUEST, Do.CLOSE)
RESETS_AFTER_ONE = (*REQUEST, OK, *REQUEST, Do.RESET)
ANSWERS = (*[*REQUEST, OK] * 20,)


def test_refused_connection(gateway: Any) -> None:
    with gateway(to=unused_address()).connect() as client:
        begin = time.monotonic()
        check_error(client.get(), 502, "upstream_connect_failed")
        assert time.monotonic() - begin < SLACK_S
        check_error(client.request(POST), 502, "upstream_connect_failed")


def test_refused_connection_leaves_the_client_s_open(gateway: Any) -> None:
    with gateway(to=unused_address()).connect() as client:
        assert [client.get().status for _ in range(3)] == [502] * 3


def test_missing_unix_socket(gateway: Any, tmp_path: Any) -> None:
    compiled = plan([service(endpoints=[unix_endpoint(str(tmp_path / "none"))])])
    with gateway(compiled).connect() as client:
        check_error(client.get(), 502, "upstream_connect_failed")


@pytest.mark.parametrize("limit_s", [0.4, 1.2])
def test_connect_timeout(gateway: Any, servers: Any, limit_s: float) -> None:
    """A listener whose queue is full drops the SYN, as a black hole does."""
    full = servers.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    for _ in range(8):
        filler = servers.enter_context(socket.socket())
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
    time.sleep(0.05)
    with gateway(to=full.getsockname(), timeouts={"connect": limit_s}).connect() as client:
        begin = time.monotonic()
        check_error(client.get(), 504, "upstream_connect_timeout")
        assert limit_s - 0.1 < time.monotonic() - begin < limit_s + SLACK_S


def test_response_timeout(gateway: Any, scripted: Any) -> None:
    upstream = scripted((*REQUEST,))
    with gateway(to=upstream, timeouts={"response": 0.4}).connect() as client:
        begin = time.monotonic()
        check_error(client.get(), 504, "upstream_timeout")
        assert 0.3 < time.monotonic() - begin < 0.4 + SLACK_S
    assert upstream.connections[0].ended.wait(8.0), "a late answer could reach somebody else"
    assert len(upstream.requests) == 1, "a timed-out request was sent twice"


def test_late_answer_reaches_nobody(gateway: Any, scripted: Any) -> None:
    late = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate"
    upstream = scripted((*REQUEST, 0.6, late), ANSWERS)
    running = gateway(to=upstream, timeouts={"response": 0.3})
    with running.connect() as client:
        assert client.get().status == 504
        time.sleep(0.4)
        assert client.get().body == b"ok"


def test_idle_timeout_inside_a_response_body(gateway: Any, scripted: Any) -> None:
    upstream = scripted((*REQUEST, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"))
    with gateway(to=upstream, timeouts={"idle": 0.4}).connect() as client:
        begin = time.monotonic()
        response = client.get()
        assert not response.complete
        assert time.monotonic() - begin < 0.4 + SLACK_S
    assert upstream.connections[0].ended.wait(8.0)


@pytest.mark.parametrize("end", [Do.CLOSE, Do.RESET], ids=["FIN", "RST"])
def test_upstream_that_accepts_and_hangs_up(gateway: Any, scripted: Any, end: Do) -> None:
    """The end may arrive before the request is sent, even before connect() is known to be done."""
    running = gateway(to=scripted((end,)), timeouts={"connect": 1.0, "response": 1.0})
    with running.connect() as client:
        for _ in range(300):
            response = client.get()
            assert response.status == 502
            code = json.loads(response.body)["code"]
            assert code in ("upstream_reset", "upstream_connect_failed")
    assert running.exchanges == 0


def test_reset_before_the_head(gateway: Any, scripted: Any) -> None:
    upstream = scripted((*REQUEST, Do.RESET))
    with gateway(to=upstream).connect() as client:
        check_error(client.request(POST), 502, "upstream_reset")
    assert len(upstream.requests) == 1, "a POST was sent twice"


def test_reset_in_mid_body_is_an_abort(gateway: Any, scripted: Any) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n"
    gate = threading.Event()
    upstream = scripted((*REQUEST, head, gate, Do.RESET))
    with gateway(to=upstream).connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.recv_until(b"abcd")
        gate.set()
        assert b"0\r\n\r\n" not in client.recv_all()


@pytest.mark.parametrize("script", [DIES_AFTER_ONE, RESETS_AFTER_ONE], ids=["FIN", "RST"])
def test_get_on_a_reused_connection_that_died_is_retried_once(
    gateway: Any, scripted: Any, script: Any
) -> None:
    upstream = scripted(script, ANSWERS)
    with gateway(to=upstream).connect() as client:
        assert client.get("/1").status == 200
        assert client.get("/2").body == b"ok"
    assert [request.target for request in upstream.requests] == ["/1", "/2", "/2"]
    assert len(upstream.connections) == 2


@pytest.mark.parametrize("script", [DIES_AFTER_ONE, RESETS_AFTER_ONE], ids=["FIN", "RST"])
def test_post_on_a_reused_connection_that_died_is_not_retried(
    gateway: Any, scripted: Any, script: Any
) -> None:
    upstream = scripted(script, ANSWERS)
    with gateway(to=upstream).connect() as client:
        assert client.get("/1").status == 200
        check_error(client.request(POST), 502, "upstream_reset")
    assert [request.method for request in upstream.requests] == ["GET", "POST"]


def test_retry_happens_only_once(gateway: Any, scripted: Any) -> None:
    upstream = scripted(DIES_AFTER_ONE, (*REQUEST, Do.CLOSE))
    with gateway(to=upstream).connect() as client:
        assert client.get("/1").status == 200
        check_error(client.get("/2"), 502, "upstream_reset")
    assert len(upstream.requests) == 3


def test_no_retry_once_a_byte_came_back(gateway: Any, scripted: Any) -> None:
    upstream = scripted((*REQUEST, OK, *REQUEST, b"HTTP/1.1 2", Do.CLOSE), ANSWERS)
    with gateway(to=upstream).connect() as client:
        assert client.get("/1").status == 200
        assert client.get("/2").status == 502
    assert [request.target for request in upstream.requests] == ["/1", "/2"]


def test_connection_closed_while_idle_costs_no_request(gateway: Any, scripted: Any) -> None:
    upstream = scripted((*REQUEST, OK, Do.CLOSE), ANSWERS)
    with gateway(to=upstream).connect() as client:
        assert client.get().status == 200
        time.sleep(0.1)
        assert client.request(POST).status == 200, "a POST may not be lost to a known-dead socket"


def test_bytes_on_an_idle_connection_are_never_an_answer(gateway: Any, scripted: Any) -> None:
    unasked = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
    upstream = scripted((*REQUEST, OK, 0.05, unasked), ANSWERS)
    with gateway(to=upstream).connect() as client:
        assert client.get().body == b"ok"
        assert upstream.connections[0].ended.wait(8.0)
        assert client.get().body == b"ok"


def test_pool_limit_queues_and_serves(gateway: Any, scripted: Any) -> None:
    gate = threading.Event()
    upstream = scripted((*REQUEST, gate, OK, *[*REQUEST, OK] * 20))
    running = gateway(to=upstream, pool={"max_connections": 2, "max_queue": 10})
    clients = [running.connect() for _ in range(8)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    upstream.wait_for(lambda: len(upstream.requests) == 2)
    time.sleep(0.1)
    assert (len(upstream.connections), len(upstream.requests)) == (2, 2)
    gate.set()
    assert [client.recv_response().status for client in clients] == [200] * 8
    assert len(upstream.connections) == 2
    for client in clients:
        client.close()


def test_queue_overflow_is_503_at_once(gateway: Any, scripted: Any) -> None:
    gate = threading.Event()
    upstream = scripted((*REQUEST, gate, OK, *[*REQUEST, OK] * 20))
    running = gateway(to=upstream, pool={"max_connections": 1, "max_queue": 2})
    clients = [running.connect() for _ in range(5)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.02)
    begin = time.monotonic()
    for client in clients[3:]:
        response = client.recv_response()
        check_error(response, 503, "upstream_overloaded")
        assert response.get("retry-after")
    assert time.monotonic() - begin < SLACK_S
    gate.set()
    assert [client.recv_response().status for client in clients[:3]] == [200] * 3
    for client in clients:
        client.close()


def test_a_service_without_endpoints_is_503_until_there_are_some(gateway: Any, echo: Any) -> None:
    """Its endpoints are discovered, and none is known yet."""
    running = gateway(plan([service()]))
    with running.connect() as client:
        response = client.get("/")
        check_error(response, 503, "upstream_unavailable")
        assert response.get("retry-after") == "1"
        running.install(plan([service(echo.address)], generation=2))
        assert client.get("/").status == 200, "on the same connection"
        running.install(plan([service()], generation=3))
        check_error(client.get("/"), 503, "upstream_unavailable")
    assert running.log_entries(1)[0]["upstream"] is None


def test_queued_client_that_leaves_frees_its_place(gateway: Any, scripted: Any) -> None:
    gate = threading.Event()
    upstream = scripted((*REQUEST, gate, OK, *[*REQUEST, OK] * 20))
    running = gateway(to=upstream, pool={"max_connections": 1, "max_queue": 1})
    first, gone, third = (running.connect() for _ in range(3))
    first.send(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
    upstream.wait_for(lambda: len(upstream.requests) == 1)
    gone.send(b"GET /gone HTTP/1.1\r\nHost: a\r\n\r\n")
    assert upstream.wait_for(lambda: running.exchanges == 2)
    gone.reset()
    assert upstream.wait_for(lambda: running.exchanges == 1)
    third.send(b"GET /3 HTTP/1.1\r\nHost: a\r\n\r\n")
    time.sleep(0.05)
    gate.set()
    assert (first.recv_response().status, third.recv_response().status) == (200, 200)
    assert [request.target for request in upstream.requests] == ["/1", "/3"]
    first.close()
    third.close()


def test_queue_waits_no_longer_than_the_connect_timeout_or_response(
    gateway: Any, scripted: Any
) -> None:
    """Whatever bounds it, a queued request is answered; it never hangs behind a dead upstream."""
    upstream = scripted((*REQUEST,))
    running = gateway(
        to=upstream,
        pool={"max_connections": 1, "max_queue": 5},
        timeouts={"connect": 0.4, "response": 0.6},
    )
    clients = [running.connect() for _ in range(2)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert {client.recv_response().status for client in clients} <= {503, 504}
    for client in clients:
        client.close()


def test_a_failed_connect_frees_its_place(gateway: Any) -> None:
    running = gateway(to=unused_address(), pool={"max_connections": 1, "max_queue": 0})
    with running.connect() as client:
        assert [client.get().status for _ in range(5)] == [502] * 5


def test_one_dead_endpoint_of_two(gateway: Any, echo: Any) -> None:
    """A request that was never sent may go to another endpoint, whatever its method."""
    endpoints = [endpoint(unused_address()), endpoint(echo.address)]
    with gateway(plan([service(endpoints=endpoints)])).connect() as client:
        statuses = [client.get().status for _ in range(20)]
    assert set(statuses) <= {200, 502}
    assert statuses.count(200) >= 10
