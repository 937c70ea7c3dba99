"""A proxied request runs no Python bytecode in the worker: counted, not timed."""

import collections
import sys
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from gateway.config.state import State
from gateway.limits.connect import connect_limits
from tests.servers.gateway import GatewayThread
from tests.servers.plans import plan, rate_limit, route, service
from tests.servers.upstream import OK, REQUEST, ScriptedUpstream

REQUESTS = 1000
# The tick writes the log out and nothing else; ten a second, for the few seconds that this takes.
MOST_CALLS = 60
CLIENTS = 20

PREMIUM = {
    "test": "scope",
    "claim": "",
    "value": "premium",
    "allowance": {"limit": 20_000, "period": 60, "burst": 20_000, "lease": 0},
}


class FrameCounter:
    """Counts Python calls in the thread where it is switched on."""

    def __init__(self) -> None:
        self.calls: collections.Counter[str] = collections.Counter()

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            code = frame.f_code
            self.calls[f"{code.co_filename}:{code.co_firstlineno} {code.co_qualname}"] += 1


def count_frames(gateway: GatewayThread, exercise: Any) -> collections.Counter[str]:
    counter = FrameCounter()
    gateway.run(lambda: sys.setprofile(counter))
    exercise()
    gateway.run(lambda: sys.setprofile(None))
    # What switches the counter off is ours, not the worker's.
    return collections.Counter(
        {name: calls for name, calls in counter.calls.items() if "tests/servers/" not in name}
    )


REQUEST_KINDS = {
    "GET": b"GET /x?y=1 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nCookie: a=b\r\n\r\n",
    "POST": b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd",
    "chunked": (
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"
    ),
}


@pytest.mark.parametrize("kind", REQUEST_KINDS)
@pytest.mark.parametrize("access_log", [False, True], ids=["no log", "log"])
def test_no_python_frames(servers: Any, kind: str, access_log: bool) -> None:
    script: Any = (*REQUEST, OK) * (REQUESTS + 50)
    upstream = ScriptedUpstream(script)
    servers.callback(upstream.close)
    running = GatewayThread(plan([service(upstream.address)]), access_log=access_log)
    servers.callback(running.close)
    with running.connect() as client:

        def exercise(count: int = REQUESTS) -> None:
            for _ in range(count):
                assert client.request(REQUEST_KINDS[kind]).status == 200

        exercise(50)  # warm-up: the upstream connection, caches
        frames = count_frames(running, exercise)
    assert len(upstream.connections) == 1
    assert sum(frames.values()) <= MOST_CALLS, frames.most_common(10)


@pytest.mark.parametrize("credential", ["Authorization: Bearer good", "X-API-Key: good"])
def test_no_python_frames_for_a_known_caller(servers: Any, credential: str) -> None:
    script: Any = (*REQUEST, OK) * (REQUESTS + 50)
    upstream = ScriptedUpstream(script)
    servers.callback(upstream.close)
    guarded = route(auth="required", scopes=["read"])
    running = GatewayThread(
        plan([service(upstream.address)], [guarded]), authenticator=let_everybody_in
    )
    servers.callback(running.close)
    with running.connect() as client:

        def exercise(count: int = REQUESTS) -> None:
            for _ in range(count):
                assert client.get("/x", credential).status == 200

        exercise(50)
        frames = count_frames(running, exercise)
    assert sum(frames.values()) <= MOST_CALLS, frames.most_common(10)


def test_no_python_frames_for_a_limited_request(servers: Any) -> None:
    script: Any = (*REQUEST, OK) * (REQUESTS + 50)
    upstream = ScriptedUpstream(script)
    servers.callback(upstream.close)
    limits = [
        rate_limit("early", limit=10_000, early=True),
        rate_limit("user", limit=10_000, key="user", tiers=[PREMIUM]),
        rate_limit("tenant", limit=10_000, key="header", argument="x-tenant"),
        rate_limit("log", limit=60, period=1, algorithm="sliding_window", dry_run=True),
        rate_limit("window", limit=10_000, algorithm="sliding_window", key="claim", argument="org"),
        rate_limit("everybody", limit=10_000, algorithm="fixed_window", key="global"),
        rate_limit("flight", limit=9, period=0, algorithm="concurrent", key="route"),
    ]
    limited = route(auth="required", rate_limits=list(range(len(limits))))
    compiled = plan([service(upstream.address)], [limited], rate_limits=limits)
    running = GatewayThread(compiled, authenticator=let_everybody_in)
    servers.callback(running.close)
    with running.connect() as client:

        def exercise(count: int = REQUESTS) -> None:
            for _ in range(count):
                answer = client.get("/x", "X-API-Key: good", "X-Tenant: a")
                assert answer.get("x-ratelimit-remaining") is not None

        exercise(50)
        frames = count_frames(running, exercise)
    assert sum(frames.values()) <= MOST_CALLS, frames.most_common(10)


class Told:
    """What the store of the limits tells its worker."""

    def __init__(self, running: GatewayThread) -> None:
        self.limit_store_is = running.worker.limit_store_is
        self.calls = 0

    def add(self, counter: str, delta: int) -> None:
        if counter == "rate_limit_store_calls_total":
            self.calls += delta


def test_limits_in_redis_are_asked_without_a_python_frame(
    servers: Any, echo: Any, redis_server: Any
) -> None:
    limits = [rate_limit(name, limit=100_000, mode="exact", key=name) for name in ("ip", "route")]
    compiled = plan([service(echo.address)], [route(rate_limits=[0, 1])], rate_limits=limits)
    running = GatewayThread(compiled)
    servers.callback(running.close)
    told = Told(running)
    state = State(url=redis_server().url, limit_timeout="5s", timeout="5s")
    store = running.run(lambda: connect_limits(state, running.segment, told))
    assert store is not None
    running.run(lambda: running.worker.share_limits(store))
    running.run(store.start)
    clients = [running.connect() for _ in range(CLIENTS)]

    def exercise(count: int = REQUESTS // CLIENTS) -> None:
        for _ in range(count):
            for client in clients:
                client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
            for client in clients:
                assert client.recv_response().get("x-ratelimit-remaining") is not None

    exercise(3)
    running.run(store.report)
    before = told.calls
    frames = count_frames(running, exercise)
    running.run(store.report)
    calls = told.calls - before
    assert calls < REQUESTS / 2, "requests share calls"
    # The beat of the store runs meanwhile. One frame for each call would be twice as much.
    assert sum(frames.values()) <= MOST_CALLS + calls // 2, frames.most_common(10)
    for client in clients:
        client.close()
    running._await(store.close())


async def let_everybody_in(kind: str, credential: bytes, peer: str, fingerprint: str | None) -> Any:
    return SimpleNamespace(
        user="ada",
        client="app",
        key="k1" if kind == "api_key" else "",
        session="",
        scopes=frozenset({"read"}),
        claims={},
        issued_s=0,
        expires_s=2**40,
        bound=False,
        rate_limit_policy="",
    )


def test_the_counter_counts(servers: Any, echo: Any) -> None:
    """The guard's own guard: a Python function called in the worker's thread is seen."""
    running = GatewayThread(plan([service(echo.address)]))
    servers.callback(running.close)

    def policy() -> int:
        return 1

    frames = count_frames(running, lambda: [running.run(policy) for _ in range(5)])
    assert [calls for name, calls in frames.items() if "policy" in name] == [5]
