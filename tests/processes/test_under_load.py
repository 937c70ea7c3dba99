"""What operations cost the clients, counted under load.

``GATEWAY_LOAD_SECONDS=60`` runs each test for a minute instead of some seconds.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.processes.instance import Instance, eventually
from tests.servers.load import Load
from tests.servers.upstream import Upstream, UpstreamConnection

SECONDS = float(os.environ.get("GATEWAY_LOAD_SECONDS", "5"))


class Constant(Upstream):
    """Answers everything with the same four bytes."""

    def serve(self, connection: UpstreamConnection) -> None:
        while connection.recv_head() and connection.recv_body():
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
            connection.answered()


@pytest.fixture
def instance(make_instance: Callable[..., Instance]) -> Iterator[Instance]:
    upstream = Constant()
    host, port = upstream.address
    instance = make_instance(upstream=f"{host}:{port}")
    instance.start(data_plane="compiled")
    yield instance
    instance.end()
    upstream.close()


@pytest.fixture
def load(instance: Instance) -> Iterator[Load]:
    load = Load(instance.address("http"))
    load.start()
    yield load
    load.stop()


@pytest.mark.timeout(60 + 3 * SECONDS)
def test_reloads_cost_no_request_and_no_connection(instance: Instance, load: Load) -> None:
    end = time.monotonic() + SECONDS
    reloads = 0
    while time.monotonic() < end:
        time.sleep(min(1.0, SECONDS / 10))
        assert instance.ask("reload")["ok"]
        reloads += 1
    load.stop()
    assert reloads >= 5
    assert load.answered > 100
    assert load.failures == []
    assert load.reconnects == 0


@pytest.mark.timeout(60 + 3 * SECONDS)
def test_a_killed_worker_costs_only_what_it_was_doing(instance: Instance, load: Load) -> None:
    victim = instance.worker_pids()[0]
    eventually(lambda: load.answered > 50, "the load runs")
    time.sleep(SECONDS / 2)
    os.kill(victim, signal.SIGKILL)
    killed = time.monotonic()
    eventually(lambda: instance.worker_pids()[0] not in (None, victim), "a successor")
    back_s = time.monotonic() - killed
    time.sleep(SECONDS / 2)
    load.stop()
    # Each connection of the victim loses at most the request in flight, at the moment of the kill,
    # and no connection is refused: the supervisor keeps the listening socket open.
    assert back_s < 1
    assert len(load.failures) <= load.clients
    assert [what for _, what in load.failures if what.startswith("connect")] == []
    assert all(abs(at - killed) < 1 for at, _ in load.failures)
    assert load.reconnects == len(load.failures)
