"""The watch of one source, whose answers a script gives."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable

import pytest

from gateway.upstreams.discovery import watch as module
from gateway.upstreams.discovery.source import Endpoint, EndpointSet, SourceError
from gateway.upstreams.discovery.watch import LAST_PAUSE_S, MAX_ENDPOINTS, Watch, pause_s

A, B = Endpoint("http://10.0.0.1:80"), Endpoint("http://10.0.0.2:80")

Step = EndpointSet | Exception


class Scripted:
    """Answers in turn; a failure begins a new round of ``sets``. Then it waits for ever."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.rounds = 0

    async def sets(self) -> AsyncGenerator[EndpointSet, None]:
        self.rounds += 1
        while self.steps:
            step = self.steps.pop(0)
            if isinstance(step, Exception):
                raise step
            yield step
        await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.0)


async def play(
    *steps: Step, known: EndpointSet = frozenset(), until: Callable[[Watch], bool] | None = None
) -> tuple[Watch, list[EndpointSet]]:
    """Run the script to its end."""
    changes: list[EndpointSet] = []
    source = Scripted(*steps)
    watch = Watch("web", "test", source, lambda: changes.append(watch.endpoints), known)
    task = asyncio.create_task(watch.run())
    async with asyncio.timeout(5):
        while source.steps:
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return watch, changes


def both(*endpoints: Endpoint) -> EndpointSet:
    return frozenset(endpoints)


async def test_each_new_set_is_told_once() -> None:
    watch, changes = await play(both(A), both(A), both(A, B), both(B))
    assert changes == [both(A), both(A, B), both(B)]
    report = watch.report()
    assert (report.state, report.endpoints, report.failures) == ("ok", (B,), 0)
    assert report.confirmed is not None


async def test_another_weight_is_another_set() -> None:
    _, changes = await play(both(A), both(A._replace(weight=5)))
    assert len(changes) == 2


async def test_an_empty_answer_empties_nothing(caplog: pytest.LogCaptureFixture) -> None:
    watch, changes = await play(both(A), both(), both(), both(A))
    assert (watch.endpoints, changes) == (both(A), [both(A)])
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert told == ["web: test: names no endpoint; the 1 known before stay in use"]


async def test_a_failure_empties_nothing_and_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    watch, changes = await play(both(A), SourceError("x"), SourceError("x"), both(A), both(A))
    assert (watch.endpoints, changes, watch.report().failures) == (both(A), [both(A)], 2)
    assert [record.getMessage() for record in caplog.records] == [
        "web: endpoints: 1, 1 new, 0 gone",
        "web: test: x; the 1 known before stay in use",
        "web: test: answers again",
    ]


async def test_an_empty_first_answer_is_one() -> None:
    watch, changes = await play(both())
    assert watch.answered.is_set()
    assert (watch.report().state, watch.report().confirmed, changes) == ("empty", None, [])


async def test_a_failure_is_no_answer() -> None:
    watch, _ = await play(SourceError("x"))
    assert not watch.answered.is_set()
    assert watch.report().state == "failing"


async def test_what_was_known_before_is_used_until_the_answer() -> None:
    watch, changes = await play(SourceError("x"), known=both(A))
    assert (watch.endpoints, changes) == (both(A), [])
    watch, changes = await play(both(A), known=both(A))
    assert changes == [], "confirmed, not changed"


async def test_a_fault_of_ours_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    watch, changes = await play(ZeroDivisionError("oops"), both(A))
    assert changes == [both(A)]
    assert watch.report().failures == 1
    assert "cannot be followed" in caplog.text


async def test_endpoints_of_no_use_cost_only_themselves(caplog: pytest.LogCaptureFixture) -> None:
    socket = Endpoint("unix:///run/docker.sock")
    answer = both(A, Endpoint("http://10.0.0.1:0"), Endpoint("ftp://a"), socket)
    watch, _ = await play(answer, answer)
    assert watch.endpoints == both(A)
    assert caplog.text.count("an endpoint of no use, 'ftp://a'") == 1
    assert "docker.sock': a source names no socket of this host" in caplog.text


async def test_more_than_a_balancer_takes(caplog: pytest.LogCaptureFixture) -> None:
    many = both(*(Endpoint(f"http://10.0.{n >> 8}.{n & 255}:80") for n in range(5000)))
    watch, _ = await play(many)
    assert len(watch.endpoints) == MAX_ENDPOINTS
    assert "names 5000 endpoints; the first 4096 are used" in caplog.text


def test_pauses_grow_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.5)
    assert [pause_s(tries, 1.0) for tries in range(4)] == [0.5, 1.0, 2.0, 4.0]
    assert pause_s(1000, 1.0) == LAST_PAUSE_S
    assert pause_s(1, 0.0) == 0.5
