"""Two whole gateways, each with an endpoint of its own, and one Redis between them."""

import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.processes.instance import Instance, eventually, fetch
from tests.servers.redis import RedisServer
from tests.servers.upstream import OK, REQUEST, ScriptedUpstream, Step

FAILED = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n\r\nbad"
OPEN_FOR_S = 2.0


class Host:
    """A gateway and the endpoint that it alone asks: failing, or well."""

    def __init__(self, make: Callable[..., Instance], redis: RedisServer, answer: bytes) -> None:
        script: list[Step] = [*REQUEST, answer]
        self.upstream = ScriptedUpstream(script * 500)
        self.instance = make()
        head = self.instance.config.read_text().partition("services:")[0]
        self.instance.config.write_text(
            f"{head}state: {{ url: '{redis.url}' }}\n"
            f"services:\n  web:\n    endpoints: [ http://127.0.0.1:{self.upstream.address[1]} ]\n"
            f"    breaker: {{ min_requests: 4, open_for: {OPEN_FOR_S}s, half_open_requests: 1,"
            " shared: true }\n"
            "routes: [ { path: '/{path...}', service: web, auth: none } ]\n"
        )
        self.instance.start(data_plane="compiled")

    def ask(self) -> int:
        return fetch(self.instance.address("http"), "/")[0]

    def state(self) -> str:
        (line,) = (
            line
            for line in fetch(self.instance.address("status"), "/metrics")[2].decode().splitlines()
            if line.startswith('gateway_circuit_breaker_state{service="web"}')
        )
        return ("closed", "open", "half open")[int(float(line.split()[-1]))]


@pytest.fixture
def hosts(
    make_instance: Callable[..., Instance], redis_server: Callable[..., RedisServer]
) -> Iterator[Any]:
    redis = redis_server()
    pair = [Host(make_instance, redis, answer) for answer in (FAILED, OK)]
    yield redis, *pair
    for host in pair:
        host.instance.end()
        host.upstream.close()


def break_it(host: Host) -> float:
    """Fails until the breaker is open; when that was."""
    eventually(lambda: host.ask() == 503, "the breaker opens")
    return time.monotonic()


def follows(well: Host, failing: Host) -> bool:
    """Whether the other host has opened, too. A probe opens it anew where time is over.

    Its control process may still be starting when the breaker opens for the first time.
    """
    failing.ask()
    return well.state() == "open"


def test_the_other_host_follows_and_comes_back_by_itself(hosts: Any) -> None:
    _, failing, well = hosts
    assert well.ask() == 200
    opened = break_it(failing)
    eventually(lambda: follows(well, failing), "the other one follows")
    print(f"\nthe other host followed after {time.monotonic() - opened:.2f} s")
    assert well.ask() == 503
    well.instance.wait_for_log("circuit breaker of web: open, as on ")
    eventually(lambda: well.ask() == 200, "its own probe succeeds")
    print(f"closed again after {time.monotonic() - opened:.2f} s")
    assert well.state() == "closed"
    assert failing.state() != "closed"


def test_without_redis_each_host_goes_by_its_own(hosts: Any) -> None:
    redis, failing, well = hosts
    redis.kill()
    break_it(failing)
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        assert well.ask() == 200
    assert well.state() == "closed"
    redis.start()
    eventually(lambda: follows(well, failing), "the other one follows, now that it can")


def test_a_host_that_dies_does_not_hold_it_open(hosts: Any) -> None:
    _, failing, well = hosts
    opened = break_it(failing)
    eventually(lambda: follows(well, failing), "the other one follows")
    failing.instance.signal(signal.SIGKILL)
    failing.instance.wait()
    eventually(lambda: well.ask() == 200, "it asks for itself")
    print(f"closed again after {time.monotonic() - opened:.2f} s")
