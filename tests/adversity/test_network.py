"""A network that stalls, cuts, resets and throttles between the gateway and its upstream."""

import json
import time
from typing import Any

from tests.servers.upstream import REQUEST
from tests.wire.errors import check_error


def test_network_alone_changes_nothing(gateway: Any, echo: Any, network: Any) -> None:
    with gateway(to=network(echo)).connect() as client:
        assert [client.get().status for _ in range(10)] == [200] * 10


def test_stalled_network_is_a_timeout_and_recovers(gateway: Any, echo: Any, network: Any) -> None:
    between = network(echo)
    with gateway(to=between, timeouts={"response": 0.4}).connect() as client:
        assert client.get().status == 200
        between.stall()
        begin = time.monotonic()
        check_error(client.get(), 504, "upstream_timeout")
        assert time.monotonic() - begin < 5
        between.resume()
        assert client.get().status == 200


def test_cut_idle_connections_cost_nothing(gateway: Any, echo: Any, network: Any) -> None:
    between = network(echo)
    with gateway(to=between).connect() as client:
        for _ in range(5):
            assert client.get().status == 200
            between.cut()


def test_reset_idle_connections_cost_nothing(gateway: Any, echo: Any, network: Any) -> None:
    between = network(echo)
    with gateway(to=between).connect() as client:
        for _ in range(5):
            assert client.get().status == 200
            between.reset()


def test_reset_in_mid_download_is_an_abort(gateway: Any, scripted: Any, network: Any) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    between = network(scripted((*REQUEST, head + b"x" * 500)))
    with gateway(to=between).connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.recv_until(b"x" * 500)
        between.reset()
        assert client.recv_all() == b""


def test_throttled_network_delivers_whole_bodies(gateway: Any, echo: Any, network: Any) -> None:
    between = network(echo)
    between.throttle(400_000)
    body = bytes(range(65, 91)) * 2000
    with gateway(to=between).connect() as client:
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
        assert json.loads(client.request(head + body).body)["body"] == body.decode()


def test_flapping_network_hurts_only_what_was_in_flight(
    gateway: Any, echo: Any, network: Any
) -> None:
    """GETs on reused connections are retried, so a cut may cost at most the one in flight."""
    between = network(echo)
    running = gateway(to=between)
    statuses = []
    with running.connect() as client:
        for number in range(200):
            if number % 20 == 10:
                between.reset()
            statuses.append(client.get().status)
    assert statuses.count(200) >= 199
    assert running.exchanges == 0
