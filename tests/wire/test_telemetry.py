"""What the worker counts in the segment and writes to the access log."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.servers.plans import plan, route, service
from tests.servers.upstream import OK, REQUEST, Do, unused_address

KEYS = {"time", "method", "route", "path", "status"}


# The worker adds up what it counts itself and writes it to the segment on each tick of 100 ms.
TWO_TICKS_S = 0.25


def counters(gateway: Any) -> dict[str, int]:
    time.sleep(TWO_TICKS_S)
    return gateway.segment.collect()["counters"]


def services(gateway: Any, name: str = "echo") -> dict[str, int]:
    time.sleep(TWO_TICKS_S)
    return gateway.segment.collect()["services"][name]


def series(gateway: Any) -> dict[tuple[str, str, str, int], int]:
    time.sleep(TWO_TICKS_S)
    return {
        (each["method"], each["route"], each["service"], each["status"]): each["count"]
        for each in gateway.segment.collect()["series"]
        if each["count"]
    }


def eventually(condition: Callable[[], bool], within_s: float = 8.0) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_series_bear_the_pattern_never_the_path(gateway: Any, echo: Any) -> None:
    routes = [route("/users/{id}"), route("/only", methods=["GET"])]
    running = gateway(plan([service(echo.address)], routes))
    with running.connect() as client:
        for number in range(20):
            client.get(f"/users/{number}")
        client.get("/unknown/secret")
        client.request(b"DELETE /only HTTP/1.1\r\nHost: a\r\n\r\n")
    found = series(running)
    assert found["GET", "/users/{id}", "echo", 200] == 20
    assert sum(found.values()) == 22
    assert {status for *_, status in found} == {200, 404, 405}
    assert "secret" not in json.dumps(running.segment.collect())


def test_duration_is_observed(gateway: Any, scripted: Any) -> None:
    running = gateway(to=scripted((*REQUEST, 0.2, OK)))
    with running.connect() as client:
        client.get()
    (each,) = (each for each in running.segment.collect()["series"] if each["count"])
    assert 0.19 < each["sum_seconds"] < 0.6
    assert sum(each["buckets"]) >= 1


def test_connections_and_bytes(gateway: Any, echo: Any) -> None:
    running = gateway(to=echo)
    with running.connect() as client:
        raw = client.get("/x").raw
        assert counters(running)["connections_active"] == 1
        assert counters(running)["requests_in_flight"] == 0
    assert eventually(lambda: counters(running)["connections_active"] == 0)
    found = counters(running)
    assert found["connections_accepted_total"] == 1
    assert found["bytes_received_total"] == len(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert found["bytes_sent_total"] == len(raw)
    assert found["plan_generation"] == 1


def test_requests_in_flight(gateway: Any, scripted: Any) -> None:
    upstream = scripted((*REQUEST,))
    running = gateway(to=upstream)
    client = running.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    upstream.wait_for(lambda: upstream.requests)
    assert counters(running)["requests_in_flight"] == 1
    assert services(running)["upstream_connections_active"] == 1
    client.reset()
    assert eventually(lambda: counters(running)["requests_in_flight"] == 0)
    assert services(running)["upstream_connections_active"] == 0
    assert services(running)["upstream_connections_idle"] == 0


def test_bad_requests(gateway: Any, echo: Any) -> None:
    running = gateway(to=echo)
    for bad in (b"\x00\x01\r\n\r\n", b"GET / HTTP/1.1\r\nA : b\r\n\r\n"):
        with running.connect() as client:
            client.send(bad)
            client.recv_all()
    assert counters(running)["bad_requests_total"] == 2


def test_upstream_counters(gateway: Any, scripted: Any) -> None:
    dies = (*REQUEST, OK, *REQUEST, Do.CLOSE)
    running = gateway(to=scripted(dies, (*[*REQUEST, OK] * 9,)))
    with running.connect() as client:
        for _ in range(4):
            assert client.get().status == 200
    found = services(running)
    assert found["upstream_connects_total"] == 2
    assert found["upstream_retries_total"] == 1
    assert found["upstream_reused_total"] == 3  # the one that died, and the two after the retry
    assert found["upstream_connections_idle"] == 1
    assert found["upstream_connections_active"] == 0


def test_upstream_connect_failures(gateway: Any) -> None:
    running = gateway(to=unused_address())
    with running.connect() as client:
        client.get()
    assert services(running)["upstream_connect_failures_total"] >= 1


def test_upstream_resets(gateway: Any, scripted: Any) -> None:
    running = gateway(to=scripted((*REQUEST, Do.RESET)))
    with running.connect() as client:
        client.get()
    assert services(running)["upstream_resets_total"] == 1


def test_refused_connections(gateway: Any, echo: Any) -> None:
    running = gateway(to=echo, limits={"connections": 1})
    with running.connect() as client:
        client.get()
        with running.connect() as surplus:
            surplus.recv_all()
        assert counters(running)["connections_refused_total"] == 1


def test_gauges_of_an_endpoint_that_left_the_plan(gateway: Any, scripted: Any, echo: Any) -> None:
    gate = threading.Event()
    old = scripted((*REQUEST, gate, OK), (*REQUEST, OK))
    running = gateway(to=old)
    with running.connect() as busy, running.connect() as client:
        busy.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert old.wait_for(lambda: len(old.requests) == 1)
        assert client.get().status == 200
        assert eventually(lambda: services(running)["upstream_connections_idle"] == 1)
        assert services(running)["upstream_connections_active"] == 1
        running.install(plan([service(echo.address)], generation=2))
        assert eventually(lambda: services(running)["upstream_connections_idle"] == 0)
        gate.set()
        assert eventually(lambda: services(running)["upstream_connections_active"] == 0)
    assert services(running)["upstream_connections_idle"] == 0


def test_heartbeat(gateway: Any, echo: Any) -> None:
    running = gateway(to=echo)
    first = running.segment.last_beat(0)
    assert eventually(lambda: running.segment.last_beat(0) > first)


def test_log_line(gateway: Any, echo: Any) -> None:
    running = gateway(plan([service(echo.address)], [route("/users/{id}")]))
    with running.connect() as client:
        response = client.request(
            b"POST /users/%37?token=secret HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd"
        )
    (entry,) = running.log_entries(1)
    assert set(entry) >= KEYS
    assert (entry["method"], entry["route"], entry["path"], entry["status"]) == (
        "POST",
        "/users/{id}",
        "/users/7",
        200,
    )
    assert response.get("x-correlation-id") in entry.values()
    assert [name for name in entry if "duration" in name]
    assert [name for name in entry if "bytes" in name]
    assert str(echo.address[1]) in str(entry["upstream"])
    assert "secret" not in json.dumps(entry), "queries hold tokens: they are not logged"


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /unknown HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"GET /x HTTP/1.1\r\nHost: a\r\nB ad: x\r\n\r\n", 400),
    ],
)
def test_refusals_are_logged(gateway: Any, echo: Any, raw: bytes, status: int) -> None:
    running = gateway(plan([service(echo.address)], [route("/x", methods=["GET"])]))
    with running.connect() as client:
        response = client.request(raw)
    (entry,) = running.log_entries(1)
    assert entry["status"] == response.status == status
    assert response.get("x-correlation-id") in entry.values()


@pytest.mark.parametrize(
    "target",
    [
        "/a%22,%22status%22:999,%22x%22:%22",
        '/a","status":999,"x":"',
        "/%1b[31m",
        "/%e2%80%a8",
        "/a%0aGET",
        "/caf\u00e9",
        "/" + "a" * 9000,
    ],
    ids=lambda target: target[:24],
)
def test_log_cannot_be_forged(gateway: Any, echo: Any, target: str) -> None:
    running = gateway(to=echo)
    with running.connect() as client:
        response = client.get(target, 'User-Agent: x","status":999', 'Referer: "\\')
    (entry,) = running.log_entries(1)
    assert entry["status"] == response.status
    assert len(bytes(running.log)) < 16384
    assert bytes(running.log).count(b"\n") == 1
    assert not [byte for byte in bytes(running.log[:-1]) if byte < 0x20 or byte == 0x7F]


def test_every_request_is_logged_once(gateway: Any, echo: Any) -> None:
    running = gateway(to=echo)
    for _ in range(5):
        with running.connect() as client:
            for _ in range(100):
                client.get()
    entries = running.log_entries(500)
    assert len(entries) == 500


def test_a_vanished_client_is_logged_once(gateway: Any, scripted: Any) -> None:
    upstream = scripted((*REQUEST,))
    running = gateway(to=upstream)
    client = running.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    upstream.wait_for(lambda: upstream.requests)
    client.reset()
    (entry,) = running.log_entries(1)
    assert entry["status"] == 499  # the custom since nginx: the client closed the request


def test_a_refusal_before_any_head_took_no_time(gateway: Any, echo: Any) -> None:
    running = gateway(to=echo)
    with running.connect() as client:
        client.send(b"\n")
        assert client.recv_response().status == 400
    (entry,) = running.log_entries(1)
    assert entry["duration_us"] < 10_000_000


def test_a_refused_request_does_not_bear_the_host_before_it(gateway: Any, echo: Any) -> None:
    running = gateway(to=echo)
    with running.connect() as client:
        assert client.request(b"GET / HTTP/1.1\r\nHost: good\r\n\r\n").status == 200
        bad = b"GET / HTTP/1.1\r\nHost: evil\r\nTransfer-Encoding: gzip\r\n\r\n"
        assert client.request(bad).status in (400, 501)
    first, second = running.log_entries(2)
    assert first["host"] == "good"
    assert second["host"] != "good"
