"""Requests that are sent again: which, how often, where to, and what bounds it."""

import time
from typing import Any

import pytest

from tests.servers.plans import endpoint, plan, service
from tests.servers.upstream import OK, REQUEST, Do, unused_address
from tests.wire.errors import check_error

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd"
PUT = b"PUT" + POST[4:]
FAILED = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
FAILS = (*[*REQUEST, FAILED] * 50,)
ANSWERS = (*[*REQUEST, OK] * 50,)


def plan_of(*upstreams: Any, **settings: Any) -> Any:
    endpoints = [endpoint(getattr(upstream, "address", upstream)) for upstream in upstreams]
    settings = {"retries": {}} | settings
    return plan([service(endpoints=endpoints, **settings)])


def test_another_endpoint_first(gateway: Any, scripted: Any) -> None:
    failing, answering = scripted(FAILS), scripted(ANSWERS)
    with gateway(plan_of(failing, answering)).connect() as client:
        assert [client.get().body for _ in range(10)] == [b"ok"] * 10
    assert len(failing.requests) <= 10, "never twice for one request"
    assert len(answering.requests) == 10


@pytest.mark.parametrize("request_bytes", [POST, PUT, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_a_connection_that_was_refused_hides_behind_any_method(
    gateway: Any, scripted: Any, request_bytes: bytes
) -> None:
    with gateway(plan_of(unused_address(), scripted(ANSWERS))).connect() as client:
        assert [client.request(request_bytes).status for _ in range(6)] == [200] * 6


def test_the_body_goes_again(gateway: Any, scripted: Any) -> None:
    failing, answering = scripted(FAILS), scripted(ANSWERS)
    with gateway(plan_of(failing, answering)).connect() as client:
        assert [client.request(PUT).status for _ in range(4)] == [200] * 4
    assert [request.body for request in answering.requests] == [b"abcd"] * 4
    assert {request.body for request in failing.requests} == {b"abcd"}


def test_a_body_that_was_not_kept_does_not_go_again(gateway: Any, scripted: Any) -> None:
    failing = scripted(FAILS)
    with gateway(plan_of(failing, scripted(ANSWERS), retries={"body": 3})).connect() as client:
        assert sorted(client.request(PUT).status for _ in range(2)) == [200, 503]
    assert len(failing.requests) == 1


def test_a_chunked_body_in_pieces_goes_again(gateway: Any, scripted: Any) -> None:
    upstream = scripted((*REQUEST, FAILED, *REQUEST, OK), (*REQUEST, OK))
    with gateway(plan_of(upstream)).connect() as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        time.sleep(0.05)
        client.send(b"3\r\ndef\r\n0\r\n\r\n")
        assert client.recv_response().status == 200
    assert [request.body for request in upstream.requests] == [b"abcdef"] * 2


def test_a_post_is_sent_once_unless_allowed(gateway: Any, scripted: Any) -> None:
    failing = scripted(FAILS)
    with gateway(plan_of(failing)).connect() as client:
        assert client.request(POST).status == 503
    assert len(failing.requests) == 1
    allowed = scripted((*REQUEST, FAILED), ANSWERS)
    with gateway(plan_of(allowed, retries={"methods": ["POST"]})).connect() as client:
        assert client.request(POST).status == 200


def test_only_what_is_named_is_tried_again(gateway: Any, scripted: Any) -> None:
    failing, resetting = scripted(FAILS), scripted((*REQUEST, Do.RESET))
    with gateway(plan_of(failing, retries={"statuses": [502]})).connect() as client:
        assert client.get().status == 503
    with gateway(plan_of(resetting, retries={"causes": ["connect"]})).connect() as client:
        check_error(client.get(), 502, "upstream_reset")
    assert (len(failing.requests), len(resetting.requests)) == (1, 1)


def test_reset_and_timeout(gateway: Any, scripted: Any) -> None:
    resetting, silent = scripted((*REQUEST, Do.RESET)), scripted((*REQUEST,))
    with gateway(plan_of(resetting, scripted(ANSWERS))).connect() as client:
        assert [client.get().status for _ in range(4)] == [200] * 4
    settings: dict[str, Any] = {"timeouts": {"response": 0.2}, "retries": {"causes": ["timeout"]}}
    with gateway(plan_of(silent, scripted(ANSWERS), **settings)).connect() as client:
        assert [client.get().status for _ in range(2)] == [200] * 2


def test_attempts_are_bounded(gateway: Any, scripted: Any) -> None:
    failing = scripted(FAILS)
    with gateway(plan_of(failing, retries={"attempts": 4})).connect() as client:
        assert client.get().body == b"busy", "the last answer is passed on"
    assert len(failing.requests) == 4


def test_the_budget_bounds_retries(gateway: Any, scripted: Any) -> None:
    failing = scripted(FAILS, *[FAILS] * 200)
    running = gateway(plan_of(failing, retries={"budget": 0.1, "backoff": 0.001}))
    with running.connect() as client:
        for _ in range(100):
            assert client.get().status == 503
    # Ten in reserve, and a tenth of a hundred.
    retries = len(failing.requests) - 100
    assert 18 <= retries <= 20
    counted = running.segment.collect()["services"]["echo"]
    assert counted["upstream_retries_total"] == retries
    assert counted["upstream_retries_denied_total"] == 100 - retries


def test_no_retry_after_the_total_time(gateway: Any, scripted: Any) -> None:
    slow = scripted((*REQUEST, 0.25, FAILED))
    settings: dict[str, Any] = {"timeouts": {"total": 0.3}, "retries": {"backoff": 60.0}}
    settings["retries"]["backoff_max"] = 60.0
    with gateway(plan_of(slow, **settings)).connect() as client:
        begin = time.monotonic()
        assert client.get().status in (503, 504)
        assert time.monotonic() - begin < 5
    assert len(slow.requests) == 1


def test_the_service_is_told_how_much_time_is_left(gateway: Any, echo: Any) -> None:
    with gateway(to=echo, timeouts={"total": 2.0}).connect() as client:
        client.get("/", "X-Request-Timeout-Ms: 999999")
        client.get("/")
    with gateway(to=echo).connect() as client:
        client.get("/", "X-Request-Timeout-Ms: 999999")
    first, second, untold = (request.get("x-request-timeout-ms") for request in echo.requests)
    assert untold is None
    for told in (first, second):
        assert 1500 < int(told or 0) <= 2000, "what is left once a connection is there"


def test_a_client_that_leaves_during_the_wait_ends_it(gateway: Any, scripted: Any) -> None:
    failing = scripted(FAILS)
    running = gateway(plan_of(failing, retries={"backoff": 0.5, "backoff_max": 0.5}))
    client = running.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert failing.wait_for(lambda: len(failing.requests) == 1)
    client.reset()
    assert failing.wait_for(lambda: running.exchanges == 0)
    time.sleep(0.6)
    assert len(failing.requests) == 1


def test_pipelined_requests_keep_their_order(gateway: Any, scripted: Any) -> None:
    running = gateway(plan_of(scripted(FAILS), scripted(ANSWERS)))
    with running.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 10)
        assert [client.recv_response().status for _ in range(10)] == [200] * 10
