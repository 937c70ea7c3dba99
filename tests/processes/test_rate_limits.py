"""Limits over processes and hosts: exactly as many as the limit pass, and Redis may go away."""

import asyncio
import collections
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.processes.instance import Instance, eventually, fetch
from tests.servers.redis import RedisServer
from tests.servers.upstream import Upstream, UpstreamConnection

CONNECTIONS = 64
REQUESTS = 5000
REQUEST = b"GET / HTTP/1.1\r\nHost: load\r\nX-Run: %d\r\n\r\n"
RUNS = 10


class Constant(Upstream):
    """Answers everything with the same four bytes."""

    def serve(self, connection: UpstreamConnection) -> None:
        while connection.recv_head() and connection.recv_body():
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
            connection.answered()


@pytest.fixture
def upstream() -> Iterator[str]:
    running = Constant()
    yield f"127.0.0.1:{running.address[1]}"
    running.close()


@pytest.fixture
def redis(redis_server: Callable[..., RedisServer]) -> RedisServer:
    return redis_server()


Start = Callable[..., Instance]


@pytest.fixture
def start(make_instance: Callable[..., Instance], upstream: str) -> Start:
    """An instance whose only route has the policy ``limit``."""

    def run(policy: str, state: str = "", workers: int = 2) -> Instance:
        sections = f"{state}rate_limits: {{ limit: {{ {policy} }} }}\n"
        route = ", rate_limits: [limit]"
        instance = make_instance(
            upstream=upstream, sections=sections, policies=route, workers=workers
        )
        instance.start(data_plane="compiled")
        return instance

    return run


class Clients:
    """Keep-alive connections that send until all requests are sent or the time is over."""

    def __init__(self, addresses: list[tuple[str, int]]) -> None:
        self.addresses = addresses
        self.statuses: collections.Counter[int] = collections.Counter()
        self.left = 0
        self.end = float("inf")
        self.pause_s = 0.0
        self.request = REQUEST % 0

    def send(self, requests: int, within_s: float = float("inf"), pause_s: float = 0.0) -> None:
        self.left, self.pause_s = requests, pause_s
        self.end = time.monotonic() + within_s
        asyncio.run(self._run())

    async def _run(self) -> None:
        await asyncio.gather(*(self._client(number) for number in range(CONNECTIONS)))

    async def _client(self, number: int) -> None:
        address = self.addresses[number % len(self.addresses)]
        reader, writer = await asyncio.open_connection(*address)
        while self.left > 0 and time.monotonic() < self.end:
            self.left -= 1
            writer.write(self.request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            self.statuses[int(head[9:12])] += 1
            await asyncio.sleep(self.pause_s)
        writer.close()
        await writer.wait_closed()


def metric(instance: Instance, name: str) -> int:
    """The sum over all labels."""
    text = fetch(instance.address("status"), "/metrics")[2].decode()
    rows = [line for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
    assert rows, name
    return sum(int(float(row.rpartition(" ")[2])) for row in rows)


POLICIES = {
    "bucket": "key: global, rate: 1/h, burst: 1000",
    "sliding": "key: global, rate: 1000/min, algorithm: sliding_window",
    "log": "key: global, rate: 60/min, algorithm: sliding_window",
    "fixed": "key: global, rate: 1000/min, algorithm: fixed_window",
}


@pytest.mark.parametrize("kind", POLICIES)
def test_all_workers_together_pass_exactly_the_limit(start: Start, kind: str) -> None:
    """Ten times, each with a key of its own."""
    instance = start(POLICIES[kind].replace("key: global", "key: 'header:X-Run'"))
    limit = 60 if kind == "log" else 1000
    for run in range(RUNS):
        clients = Clients([instance.address("http")])
        clients.request = REQUEST % run
        clients.send(REQUESTS)
        assert clients.statuses == {200: limit, 429: REQUESTS - limit}, run
    assert metric(instance, "gateway_rate_limit_allowed_total") == RUNS * limit
    assert metric(instance, "gateway_rate_limit_exceeded_total") == RUNS * (REQUESTS - limit)


STATE = "state: {{ url: {url}, limit_timeout: {wait} }}\n"


@pytest.mark.parametrize("kind", ["bucket", "sliding", "fixed"])
def test_two_gateways_with_one_redis_pass_exactly_the_limit(
    start: Start, redis: RedisServer, kind: str
) -> None:
    state = STATE.format(url=redis.url, wait="5s")
    gateways = [start(f"{POLICIES[kind]}, mode: exact", state, workers=1) for _ in range(2)]
    clients = Clients([gateway.address("http") for gateway in gateways])
    clients.send(3000)
    assert clients.statuses == {200: 1000, 429: 2000}


def test_leases_are_never_more_than_the_limit(start: Start, redis: RedisServer) -> None:
    state = STATE.format(url=redis.url, wait="5s")
    policy = f"{POLICIES['bucket']}, mode: leased, lease: 50"
    gateways = [start(policy, state) for _ in range(2)]
    clients = Clients([gateway.address("http") for gateway in gateways])
    clients.send(3000)
    assert 1000 - 2 * 50 <= clients.statuses[200] <= 1000
    assert set(clients.statuses) == {200, 429}

    def calls() -> float:
        return sum(metric(each, "gateway_rate_limit_store_calls_total") for each in gateways)

    eventually(lambda: calls() > 0, "calls are counted once a second")
    assert calls() < 300, "one call for many requests"


@pytest.mark.parametrize("mode", ["exact", "leased"])
def test_redis_dies_under_load_and_comes_back(start: Start, redis: RedisServer, mode: str) -> None:
    state = STATE.format(url=redis.url, wait="500ms")
    instance = start(f"key: global, rate: 1/h, burst: 500, mode: {mode}", state)
    clients = Clients([instance.address("http")])
    clients.send(1000)
    assert clients.statuses[200] == 500
    redis.kill()
    clients.send(100_000, within_s=2, pause_s=0.01)
    eventually(lambda: metric(instance, "gateway_rate_limit_fallback") == 1, "it decides alone")
    redis.start()
    clients.send(100_000, within_s=2, pause_s=0.01)
    eventually(lambda: metric(instance, "gateway_rate_limit_fallback") == 0, "it asks again", 2.0)
    before = metric(instance, "gateway_rate_limit_store_calls_total")
    clients.send(1000)
    assert set(clients.statuses) == {200, 429}, "no 5xx, whatever Redis does"
    # By Redis, by this host alone, and by the new Redis, which knows of nothing.
    assert clients.statuses[200] <= 3 * 500
    if mode == "exact":
        eventually(
            lambda: metric(instance, "gateway_rate_limit_store_calls_total") > before, "it is asked"
        )
    # One line for each worker; on a busy machine it may be lost once more.
    assert 2 <= instance.log().count("Redis is away, limits") <= 6


@pytest.mark.parametrize(("stance", "status"), [("allow", 200), ("deny", 503)])
def test_what_happens_without_redis_is_configured(
    start: Start, redis: RedisServer, stance: str, status: int
) -> None:
    redis.kill()
    policy = f"key: global, rate: 1/h, mode: exact, on_failure: {stance}"
    instance = start(policy, STATE.format(url=redis.url, wait="50ms"), workers=1)
    statuses = {fetch(instance.address("http"), "/")[0] for _ in range(5)}
    assert statuses == {status}


def test_a_killed_worker_leaves_the_limits_as_they_were(start: Start) -> None:
    import os
    import signal

    instance = start(POLICIES["bucket"])
    clients = Clients([instance.address("http")])
    clients.send(600)
    pids: Any = instance.worker_pids()
    os.kill(pids[0], signal.SIGKILL)
    eventually(lambda: instance.worker_pids()[0] not in (None, pids[0]), "a successor")
    clients.send(1000)
    assert clients.statuses == {200: 1000, 429: 600}
