"""Breaker, bulkhead, ejection and fallback, as a client sees them."""

import json
import threading
import time
from typing import Any

from tests.servers.plans import endpoint, plan, route, service
from tests.servers.upstream import OK, REQUEST, unused_address
from tests.wire.errors import check_error

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
FAILED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n\r\nbad"
FAILS = (*[*REQUEST, FAILED] * 50,)
ANSWERS = (*[*REQUEST, OK] * 50,)
BREAKER = {"min_requests": 4, "open_for": 0.4, "half_open_requests": 2}


def guarded(upstream: Any, **settings: Any) -> Any:
    return plan([service(getattr(upstream, "address", upstream), **settings)])


# --- breaker --------------------------------------------------------------------------------------


def test_the_breaker_opens_refuses_and_recovers(gateway: Any, scripted: Any) -> None:
    upstream = scripted((*[*REQUEST, FAILED] * 4, *[*REQUEST, OK] * 9))
    running = gateway(guarded(upstream, breaker=BREAKER))
    label = running.segment.intern("echo")
    with running.connect() as client:
        assert [client.get().status for _ in range(4)] == [500] * 4
        assert running.segment.breaker(label)[0] == "open"
        response = client.get()
        check_error(response, 503, "circuit_open")
        assert "Circuit breaker" in json.loads(response.body)["error"]
        assert response.get("retry-after") == "1"
        assert len(upstream.requests) == 4
        time.sleep(0.45)
        assert client.get().status == 200
        assert running.segment.breaker(label)[0] == "half_open"
        assert client.get().status == 200
        assert running.segment.breaker(label)[0] == "closed"
    counted = running.segment.collect()["services"]["echo"]
    for change in ("opened", "half_opened", "closed"):
        assert counted[f"circuit_breaker_{change}_total"] == 1
    assert counted["circuit_breaker_refused_total"] == 1


def test_a_service_that_cannot_be_reached_opens_it(gateway: Any) -> None:
    with gateway(guarded(unused_address(), breaker=BREAKER)).connect() as client:
        for _ in range(4):
            check_error(client.get(), 502, "upstream_connect_failed")
        check_error(client.get(), 503, "circuit_open")


def test_slow_answers_open_it(gateway: Any, scripted: Any) -> None:
    upstream = scripted((*[*REQUEST, 0.05, OK] * 4,))
    with gateway(guarded(upstream, breaker=BREAKER | {"slow_after": 0.02})).connect() as client:
        assert [client.get().status for _ in range(4)] == [200] * 4
        check_error(client.get(), 503, "circuit_open")


def test_a_client_that_leaves_gives_its_probe_back(gateway: Any, scripted: Any) -> None:
    upstream = scripted((*[*REQUEST, FAILED] * 4, *REQUEST), ANSWERS)
    running = gateway(guarded(upstream, breaker=BREAKER | {"half_open_requests": 1}))
    with running.connect() as client:
        for _ in range(4):
            client.get()
        time.sleep(0.45)
        gone = running.connect()
        gone.send(GET)
        assert upstream.wait_for(lambda: len(upstream.requests) == 5)
        check_error(client.get(), 503, "circuit_open")
        gone.reset()
        assert upstream.wait_for(lambda: running.exchanges == 0)
        assert client.get().status == 200


def test_a_reload_keeps_it_open(gateway: Any, scripted: Any) -> None:
    compiled = guarded(scripted(FAILS), breaker=BREAKER | {"open_for": 30.0})
    running = gateway(compiled)
    with running.connect() as client:
        for _ in range(4):
            client.get()
        running.install(compiled | {"generation": 2})
        check_error(client.get(), 503, "circuit_open")


# --- bulkhead -------------------------------------------------------------------------------------


def test_a_full_bulkhead_refuses_and_another_service_does_not_notice(
    gateway: Any, scripted: Any
) -> None:
    gate = threading.Event()
    stuck, lively = scripted((*REQUEST, gate, OK, *ANSWERS)), scripted(ANSWERS)
    bounds = {"max_requests": 2, "max_queue": 1, "queue_timeout": 5.0}
    services = [
        service(stuck.address, name="stuck", bulkhead=bounds),
        service(lively.address, name="lively"),
    ]
    routes = [route("/stuck"), route("/lively", service=1)]
    running = gateway(plan(services, routes))
    clients = [running.connect() for _ in range(4)]
    for number, client in enumerate(clients[:3], 1):
        client.send(GET.replace(b"/ ", b"/stuck "))
        assert stuck.wait_for(lambda number=number: running.exchanges == number)
    begin = time.monotonic()
    check_error(clients[3].get("/stuck"), 503, "bulkhead_full")
    assert time.monotonic() - begin < 4
    assert stuck.wait_for(lambda: len(stuck.requests) == 2)  # … and the third one waits
    assert clients[3].get("/lively").status == 200
    gate.set()
    assert [client.recv_response().status for client in clients[:3]] == [200] * 3
    for client in clients:
        client.close()


def test_waiting_in_a_bulkhead_is_bounded(gateway: Any, scripted: Any) -> None:
    bounds = {"max_requests": 1, "max_queue": 5, "queue_timeout": 0.2}
    running = gateway(guarded(scripted((*REQUEST,)), bulkhead=bounds))
    first, second = running.connect(), running.connect()
    first.send(GET)
    time.sleep(0.05)
    begin = time.monotonic()
    check_error(second.get(), 503, "bulkhead_full")
    assert 0.15 < time.monotonic() - begin < 5
    first.close()
    second.close()


def test_who_leaves_the_queue_frees_its_place(gateway: Any, scripted: Any) -> None:
    gate = threading.Event()
    upstream = scripted((*REQUEST, gate, OK, *ANSWERS))
    bounds = {"max_requests": 1, "max_queue": 1, "queue_timeout": 5.0}
    running = gateway(guarded(upstream, bulkhead=bounds))
    first, gone, third = (running.connect() for _ in range(3))
    first.send(GET)
    assert upstream.wait_for(lambda: len(upstream.requests) == 1)
    gone.send(GET)
    assert upstream.wait_for(lambda: running.exchanges == 2)
    gone.reset()
    assert upstream.wait_for(lambda: running.exchanges == 1)
    third.send(GET)
    assert upstream.wait_for(lambda: running.exchanges == 2)
    running.install(guarded(upstream, bulkhead=bounds) | {"generation": 2})
    gate.set()
    assert (first.recv_response().status, third.recv_response().status) == (200, 200)
    assert len(upstream.requests) == 2
    first.close()
    third.close()


def test_a_long_queue_before_an_open_breaker_empties(gateway: Any, scripted: Any) -> None:
    """Each one that is refused makes room for the next: a loop, not a recursion."""
    gate = threading.Event()
    upstream = scripted((*REQUEST, gate, FAILED))
    running = gateway(
        guarded(
            upstream,
            bulkhead={"max_requests": 1, "max_queue": 5000, "queue_timeout": 30.0},
            breaker=BREAKER | {"min_requests": 1, "open_for": 30.0},
        )
    )
    clients = [running.connect() for _ in range(400)]
    for client in clients:
        client.send(GET)
    assert upstream.wait_for(lambda: running.exchanges == 400)
    gate.set()
    statuses = [client.recv_response().status for client in clients]
    assert sorted(statuses) == [500] + [503] * 399
    for client in clients:
        client.close()


# --- ejection -------------------------------------------------------------------------------------


def test_an_endpoint_that_fails_is_left_out(gateway: Any, scripted: Any) -> None:
    failing, answering = scripted(FAILS), scripted(ANSWERS)
    endpoints = [endpoint(failing.address), endpoint(answering.address)]
    rules = {"consecutive_failures": 3, "eject_for": 0.5}
    running = gateway(plan([service(endpoints=endpoints, outlier=rules)]))
    with running.connect() as client:
        statuses = [client.get().status for _ in range(20)]
        assert statuses.count(500) == 3
        time.sleep(0.6)
        assert [client.get().status for _ in range(2)].count(500) == 1, "it is tried again"
    assert running.segment.collect()["services"]["echo"]["upstream_ejections_total"] == 1


def test_the_only_endpoint_stays(gateway: Any, scripted: Any) -> None:
    running = gateway(guarded(scripted(FAILS), outlier={"consecutive_failures": 2}))
    with running.connect() as client:
        assert [client.get().status for _ in range(6)] == [500] * 6


def test_an_unhealthy_endpoint_is_passed_over(gateway: Any, scripted: Any) -> None:
    upstreams = [scripted(ANSWERS) for _ in range(3)]
    endpoints = [endpoint(upstream.address) for upstream in upstreams]
    running = gateway(plan([service(endpoints=endpoints, health={}, panic_threshold=0.0)]))
    places = [running.segment.place(f"echo {each['url']}", 0) for each in endpoints]
    with running.connect() as client:
        running.segment.set_health(places[0], "unhealthy", 1)
        assert [client.get().status for _ in range(10)] == [200] * 10
        assert len(upstreams[0].requests) == 0
        for place in places:
            running.segment.set_health(place, "unhealthy", 1)
        check_error(client.get(), 503, "no_healthy_endpoint")
        running.segment.set_health(places[0], "healthy", 1)
        assert client.get().status == 200
        assert len(upstreams[0].requests) == 1


# --- fallback -------------------------------------------------------------------------------------


def test_a_static_fallback(gateway: Any) -> None:
    fallback = {"status": 200, "content_type": "application/json", "body": '{"resting":true}'}
    running = gateway(guarded(unused_address(), fallback=fallback))
    with running.connect() as client:
        response = client.get()
        assert (response.status, json.loads(response.body)) == (200, {"resting": True})
        assert response.get("x-gateway-fallback") == "static"
        assert response.get("content-type") == "application/json"
        assert client.get().status == 200, "the connection stays"
    assert running.segment.collect()["services"]["echo"]["fallbacks_total"] == 2
    entry = running.log_entries(2)[0]
    assert (entry["status"], entry["code"]) == (200, "upstream_connect_failed")


def test_another_service_as_fallback(gateway: Any, echo: Any) -> None:
    services = [
        service(unused_address(), fallback={"service": 1}),
        service(echo.address, name="other"),
    ]
    running = gateway(plan(services))
    with running.connect() as client:
        response = client.request(
            b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd",
        )
        assert response.status == 200
        assert response.get("x-gateway-fallback") == "service"
        assert json.loads(response.body)["body"] == "abcd"
    entry = running.log_entries(1)[0]
    assert (entry["service"], entry["code"]) == ("other", None)


def test_a_fallback_that_fails_too(gateway: Any) -> None:
    services = [
        service(unused_address(), fallback={"service": 1}),
        service(unused_address(), name="other", fallback={"service": 0}),
    ]
    with gateway(plan(services)).connect() as client:
        check_error(client.get(), 502, "upstream_connect_failed")


def test_an_open_breaker_answers_by_its_fallback(gateway: Any, scripted: Any) -> None:
    compiled = guarded(scripted(FAILS), breaker=BREAKER, fallback={"status": 204})
    with gateway(compiled).connect() as client:
        assert [client.get().status for _ in range(6)] == [500] * 4 + [204] * 2
