"""A new Plan under traffic, and draining."""

import json
import threading
import time
from typing import Any

import pytest

from tests.servers.client import Client
from tests.servers.plans import plan, route, service
from tests.servers.upstream import OK, REQUEST, EchoUpstream


class Traffic:
    """Clients that ask without a pause until told to stop. Every answer is kept."""

    def __init__(self, gateway: Any, clients: int = 4) -> None:
        self.statuses: list[int] = []
        self.faults: list[str] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(gateway,), daemon=True) for _ in range(clients)
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, gateway: Any) -> None:
        try:
            with gateway.connect() as client:
                while not self._stop.is_set():
                    self.statuses.append(client.get("/x").status)
        except (OSError, EOFError) as error:
            self.faults.append(repr(error))

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10.0)


def test_swapping_plans_under_traffic_loses_nothing(gateway: Any, servers: Any, echo: Any) -> None:
    other = EchoUpstream()
    servers.callback(other.close)
    plans = [
        plan([service(each.address)], generation=number)
        for number, each in enumerate([other, echo] * 20, 2)
    ]
    running = gateway(to=echo)
    traffic = Traffic(running)
    for each in plans:
        running.install(each)
        time.sleep(0.01)
    traffic.end()
    assert traffic.faults == []
    assert set(traffic.statuses) == {200}
    assert other.requests
    assert running.worker.generation == 41


def test_a_running_exchange_keeps_its_plan(gateway: Any, scripted: Any, echo: Any) -> None:
    gate = threading.Event()
    old = scripted((*REQUEST, gate, OK))
    running = gateway(to=old)
    with running.connect() as client:
        client.send(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
        old.wait_for(lambda: old.requests)
        running.install(plan([service(echo.address)], generation=2))
        gate.set()
        assert client.recv_response().body == b"ok"
        assert client.get("/2").status == 200  # the next one on this connection: the new plan
    assert [request.target for request in echo.requests] == ["/2"]


def test_connections_to_a_removed_upstream_are_closed(
    gateway: Any, scripted: Any, echo: Any
) -> None:
    old = scripted((*REQUEST, OK))
    running = gateway(to=old)
    with running.connect() as client:
        client.get()
        running.install(plan([service(echo.address)], generation=2))
        client.get()
        assert old.connections[0].ended.wait(8.0)


def test_connections_to_a_kept_upstream_survive(gateway: Any, echo: Any) -> None:
    running = gateway(to=echo)
    with running.connect() as client:
        for generation in range(2, 7):
            assert client.get().status == 200
            running.install(plan([service(echo.address)], generation=generation))
        assert client.get().status == 200
    assert len(echo.connections) == 1


def test_a_bad_plan_changes_nothing(gateway: Any, echo: Any) -> None:
    running = gateway(to=echo)
    bad = running.compile(plan([service(echo.address)], [route("/{a}/{a}")], generation=2))
    with pytest.raises(ValueError, match=r"a|path"):
        running.run(lambda: running.worker.install(bad))
    with pytest.raises(ValueError, match=r"."):
        running.run(lambda: running.worker.install(b"{"))
    assert running.worker.generation == 1
    with running.connect() as client:
        assert client.get("/anything").status == 200


def test_drain_closes_idle_connections_at_once(gateway: Any, echo: Any) -> None:
    running = gateway(to=echo)
    with running.connect() as client:
        assert client.get().status == 200
        running.run(running.worker.drain)
        client.recv_eof()
    assert echo.wait_for(lambda: running.connections == 0)


def test_drain_waits_for_the_first_request_of_a_connection(gateway: Any, echo: Any) -> None:
    """A client that has just connected could not know better: it is answered, then closed."""
    running = gateway(to=echo)
    with running.connect() as client:
        assert echo.wait_for(lambda: running.connections == 1)
        running.run(running.worker.drain)
        time.sleep(0.2)
        response = client.get()
        assert response.status == 200
        assert (response.get("connection") or "").lower() == "close"
        client.recv_eof()


def test_drain_lets_running_exchanges_finish(gateway: Any, scripted: Any) -> None:
    gate = threading.Event()
    upstream = scripted((*REQUEST, gate, OK))
    running = gateway(to=upstream)
    with running.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        upstream.wait_for(lambda: upstream.requests)
        running.run(running.worker.drain)
        assert client.is_open()
        gate.set()
        response = client.recv_response()
        assert response.body == b"ok"
        assert (response.get("connection") or "").lower() == "close"
        client.recv_eof()


def test_drain_turns_health_to_503_and_still_serves(gateway: Any, echo: Any) -> None:
    """Whoever still connects is served; the balancer in front learns to stop."""
    running = gateway(to=echo)
    running.run(running.worker.drain)
    with running.connect() as client:
        response = client.get("/health")
        assert (response.status, json.loads(response.body)) == (503, {"status": "draining"})
        client.recv_eof()
    with running.connect() as client:
        response = client.get("/x")
        assert response.status == 200
        assert (response.get("connection") or "").lower() == "close"


def test_close_aborts_what_is_left(gateway: Any, scripted: Any) -> None:
    upstream = scripted((*REQUEST,))
    running = gateway(to=upstream)
    clients: list[Client] = [running.connect() for _ in range(3)]
    for client in clients:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    upstream.wait_for(lambda: len(upstream.requests) == 3)
    running.run(running.worker.close)
    for client in clients:
        client.recv_all()  # ends, with or without an answer
        client.close()
    assert upstream.wait_for(lambda: upstream.open_connections == 0)
    assert (running.connections, running.exchanges) == (0, 0)
