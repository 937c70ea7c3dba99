"""Fixtures: each makes as many servers as a test asks for and ends them with it."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.servers.faulty_network import FaultyNetwork
from tests.servers.gateway import GatewayProcess, GatewayThread
from tests.servers.plans import Plan, plan, service
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer
from tests.servers.upstream import EchoUpstream, Script, ScriptedUpstream, Upstream

# Timings fail no test: the machine may be busy with other work.
settings.register_profile("gateway", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gateway")


@pytest.fixture
def servers() -> Iterator[contextlib.ExitStack]:
    """Closes what was started, the last first, so that a gateway ends before its upstreams."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def scripted(servers: contextlib.ExitStack) -> Callable[..., ScriptedUpstream]:
    def start(*scripts: Script) -> ScriptedUpstream:
        upstream = ScriptedUpstream(*scripts)
        servers.callback(upstream.close)
        return upstream

    return start


@pytest.fixture
def echo(servers: contextlib.ExitStack) -> Iterator[EchoUpstream]:
    """An upstream that tells what it received, and fails the test if that was not HTTP."""
    upstream = EchoUpstream()
    servers.callback(upstream.close)
    yield upstream
    assert not upstream.faults, upstream.faults


@pytest.fixture
def network(servers: contextlib.ExitStack) -> Callable[[Upstream], FaultyNetwork]:
    def start(upstream: Upstream) -> FaultyNetwork:
        between = FaultyNetwork(upstream.address)
        servers.callback(between.close)
        return between

    return start


@pytest.fixture
def gateway(servers: contextlib.ExitStack) -> Callable[..., GatewayThread]:
    """``gateway(plan)``, or ``gateway(to=upstream, limits=…, …)`` for one service behind /."""

    def start(compiled: Plan | None = None, **options: Any) -> GatewayThread:
        running = GatewayThread(compiled or plan_to(**options))
        servers.callback(running.close)
        return running

    return start


@pytest.fixture
def gateway_process(servers: contextlib.ExitStack) -> Callable[..., GatewayProcess]:
    def start(compiled: Plan | None = None, **options: Any) -> GatewayProcess:
        running = GatewayProcess(compiled or plan_to(**options))
        servers.callback(running.close)
        return running

    return start


@pytest.fixture
def redis_server(servers: contextlib.ExitStack, tmp_path: Path) -> Callable[..., RedisServer]:
    def start(*options: str) -> RedisServer:
        running = RedisServer(tmp_path, *options)
        servers.callback(running.close)
        return running

    return start


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One for all tests; a test that stops it starts it again."""
    running = PostgresServer()
    yield running
    running.close()


def plan_to(
    to: Any, timeouts: Any = None, pool: Any = None, host: str | None = None, **options: Any
) -> Plan:
    """A Plan with one service; ``to`` is an upstream, a network, or the address of either."""
    address = getattr(to, "address", to)
    return plan([service(address, timeouts=timeouts, pool=pool, host=host)], **options)
