"""Who gets which connection to an upstream, and which connection nobody may get again."""

import threading
import time
from collections import deque
from typing import Any

import pytest

from tests.servers.client import Client
from tests.servers.plans import endpoint, plan, service
from tests.servers.upstream import OK, REQUEST, Do
from tests.wire.errors import check_error

ANSWERS = (*[*REQUEST, OK] * 20,)
ONE: dict[str, float] = {"max_connections": 1}


def ask(client: Client, target: str) -> None:
    client.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())


# The second receive, of 64 KiB each, passes the mark at which reading stops, and is the last.
@pytest.mark.parametrize("size", [100_000, 120_000])
def test_next_in_the_queue_after_a_reader_that_stopped(
    gateway: Any, scripted: Any, size: int
) -> None:
    """A connection paused for the first client's sake when its answer ends is read for the next."""
    gate = threading.Event()

    def answer_at_once() -> None:
        gate.set()
        time.sleep(0.2)  # the loop sleeps while `large` gathers, then reads it in one piece

    warm = b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n" + bytes(4_000_000)
    large = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    upstream = scripted((*[*REQUEST, warm] * 2, *REQUEST, gate, large, *REQUEST, OK))
    running = gateway(to=upstream, pool=ONE, timeouts={"connect": 0.0, "response": 2.0})
    with running.connect() as client:  # opens the window, so that `large` arrives in one piece
        assert [client.get().status for _ in range(2)] == [200, 200]
    running.limit_buffers(send=1 << 13)
    with running.connect(receive_buffer=1 << 12) as stopped, running.connect() as waiting:
        ask(stopped, "/large")
        assert upstream.wait_for(lambda: running.exchanges == 1)
        ask(waiting, "/next")
        assert upstream.wait_for(lambda: running.exchanges == 2)
        running.run(answer_at_once)
        assert waiting.recv_response().body == b"ok"
    assert [request.target for request in upstream.requests][2:] == ["/large", "/next"]


def test_those_who_wait_in_vain_leave_nothing_behind(gateway_process: Any, scripted: Any) -> None:
    upstream = scripted((*REQUEST,))
    timeouts = {"connect": 0.2, "response": 30.0}
    running = gateway_process(to=upstream, pool=ONE | {"max_queue": 50}, timeouts=timeouts)
    with running.connect() as holder:
        ask(holder, "/held")
        assert upstream.wait_for(lambda: len(upstream.requests) == 1)
        before = running.ask("counts")
        recent: deque[Client] = deque()
        for _ in range(50):  # the queue is never empty: somebody always waits
            recent.append(running.connect())
            ask(recent[-1], "/waits")
            if len(recent) > 15:
                recent.popleft().close()
            time.sleep(0.03)
        counts = running.ask("counts")
        assert counts["objects"]["Http1Downstream"] <= counts["connections"] + 5
        for client in recent:
            assert client.recv_response().status in (503, 504)
            client.close()
        assert upstream.wait_for(lambda: running.ask("counts")["connections"] == 1)
        assert running.ask("counts") == before
        holder.reset()
    assert upstream.wait_for(lambda: running.ask("counts")["connections"] == 0)


@pytest.mark.parametrize("death", [(Do.CLOSE,), (*REQUEST, Do.CLOSE), (*REQUEST, Do.RESET)])
def test_handed_over_connection_that_dies_costs_a_retry(
    gateway: Any, scripted: Any, death: Any
) -> None:
    gate = threading.Event()
    upstream = scripted((*REQUEST, gate, OK, *death), ANSWERS)
    running = gateway(to=upstream, pool=ONE, timeouts={"connect": 0.0})
    with running.connect() as first, running.connect() as waiting:
        ask(first, "/1")
        assert upstream.wait_for(lambda: running.exchanges == 1)
        ask(waiting, "/2")
        assert upstream.wait_for(lambda: running.exchanges == 2)
        gate.set()
        assert (first.recv_response().body, waiting.recv_response().body) == (b"ok", b"ok")
    assert [request.target for request in upstream.connections[1].requests] == ["/2"]


def test_host_name_that_no_resolver_takes(gateway: Any) -> None:
    compiled = plan([service(endpoints=[endpoint(("a..b", 80))], pool=ONE | {"max_queue": 0})])
    running = gateway(compiled)
    with running.connect() as client:
        for _ in range(3):
            check_error(client.get(), 502, "upstream_connect_failed")
    assert running.exchanges == 0
