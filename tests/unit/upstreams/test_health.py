"""When an endpoint is healthy, how often it is looked at, and what the workers are told."""

import asyncio
import contextlib
import mmap
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway._core import Segment
from gateway.upstreams.health import HealthChecks, Judge
from gateway.upstreams.probe import probe

HEALTH = {
    "path": "/healthz", "statuses": [], "interval": 0.05, "timeout": 0.3, "unhealthy_after": 2,
    "healthy_after": 2, "backoff_max": 0.2,
}  # fmt: skip


def judge(**more: Any) -> Judge:
    return Judge(interval=5.0, backoff_max=60.0, unhealthy_after=3, healthy_after=2, **more)


def verdicts(judge: Judge, results: str) -> list[str]:
    """`+` and `-` are results of checks; what was thought after each."""
    seen: list[str] = []
    for result in results:
        judge.record(result == "+")
        seen.append(judge.health)
    return seen


def test_thresholds() -> None:
    assert verdicts(judge(), "+") == ["healthy"], "the first success is enough"
    assert verdicts(judge(), "---") == ["unknown", "unknown", "unhealthy"]
    assert verdicts(judge(health="healthy"), "--+---") == ["healthy"] * 5 + ["unhealthy"]
    assert verdicts(judge(health="unhealthy"), "+-++") == ["unhealthy"] * 3 + ["healthy"]


def test_a_change_is_told_once() -> None:
    one = judge(health="healthy")
    assert [one.record(False) for _ in range(5)] == [False, False, True, False, False]


def test_the_wait_doubles_while_it_is_unhealthy() -> None:
    one = judge(health="healthy")
    waits = []
    for _ in range(9):
        one.record(False)
        waits.append(one.wait_s(0.5))
    assert waits == [5, 5, 5, 10, 20, 40, 60, 60, 60]
    one.record(True)
    assert one.wait_s(0.5) == 5, "a sign of life: look again soon"


def test_jitter_is_a_tenth() -> None:
    assert [judge().wait_s(draw) for draw in (0, 1)] == [4.5, 5.5]


# --- probe --------------------------------------------------------------------------------------


async def serve(answer: bytes | None, test: Callable[[dict[str, Any]], Awaitable[None]]) -> bytes:
    """Runs `test` against a server that answers so (None: never); returns what it was asked."""
    asked = b""
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            asked = await reader.readuntil(b"\r\n\r\n")
        if answer is not None:
            writer.write(answer)
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    await test({"unix": None, "host": host, "port": port, "url": "http://x", "place": 1})
    server.close()
    for writer in writers:
        writer.close()
    await asyncio.sleep(0.01)  # transports close on the next turns
    return asked


@pytest.mark.parametrize(
    ("answer", "statuses", "verdict"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", [], None),
        (b"HTTP/1.0 302 Found\r\n\r\n", [], None),
        (b"HTTP/1.1 503 Busy\r\n\r\n", [], "it answers 503"),
        (b"HTTP/1.1 200 OK\r\n\r\n", [204], "it answers 200"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", [200, 404], None),
        (b"SSH-2.0-OpenSSH\r\n", [], "the answer is not HTTP"),
        (b"HTTP/1.1 " + b"x" * 10_000, [], "the answer is not HTTP"),
        (b"", [], "it closed the connection without an answer"),
        (None, [], "no answer within 0.3 s"),
    ],
)
def test_probe(answer: bytes | None, statuses: list[int], verdict: str | None) -> None:
    async def look(endpoint: dict[str, Any]) -> None:
        assert await probe(endpoint, HEALTH | {"statuses": statuses}, None) == verdict

    asyncio.run(serve(answer, look))


def test_probe_asks_politely() -> None:
    async def look(endpoint: dict[str, Any]) -> None:
        await probe(endpoint, HEALTH, "api.example.org")

    asked = asyncio.run(serve(b"HTTP/1.1 200 OK\r\n\r\n", look))
    assert asked.startswith(b"GET /healthz HTTP/1.1\r\nHost: api.example.org\r\n")


def test_probe_of_a_connection_alone() -> None:
    async def look(endpoint: dict[str, Any]) -> None:
        assert await probe(endpoint, HEALTH | {"path": None}, None) is None
        refused = endpoint | {"unix": "/nowhere/none.sock"}
        assert await probe(refused, HEALTH | {"path": None}, None) == "No such file or directory"

    asyncio.run(serve(None, look))


# --- checks -------------------------------------------------------------------------------------


def test_checks_tell_the_workers(caplog: pytest.LogCaptureFixture) -> None:
    segment = Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True)
    place = segment.place("web http://x", 0)
    changes: list[tuple[str, str, str]] = []

    async def until(health: str) -> None:
        async with asyncio.timeout(5):
            while segment.endpoint(place, 0)["health"] != health:
                await asyncio.sleep(0.01)

    async def test(endpoint: dict[str, Any]) -> None:
        checks = HealthChecks(segment, lambda *change: changes.append(change))
        good = endpoint | {"place": place}
        service = {"name": "web", "host": None, "health": HEALTH, "endpoints": [good]}
        checks.update([service])
        await until("healthy")
        checks.update([service | {"health": HEALTH | {"statuses": [418]}}])
        await until("unhealthy")
        assert changes == [("web", "http://x", health) for health in ("healthy", "unhealthy")]
        checks.update([service | {"health": None}])
        assert segment.endpoint(place, 0)["health"] == "unknown"
        checks.close()

    asyncio.run(serve(b"HTTP/1.1 200 OK\r\n\r\n", test))
    assert "http://x of web is unhealthy: it answers 200" in caplog.text
