"""All watches together: which run, and what is known from them."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from gateway.config.discovery import Discovery as Configured
from gateway.upstreams.discovery.discovery import Discovery
from gateway.upstreams.discovery.registry import Catalogue
from gateway.upstreams.discovery.source import Endpoint, EndpointSet
from tests.conformance.discovery.sites import NoCatalogue

A = Endpoint("http://10.0.0.1:80")


def configured(name: str) -> Configured:
    return Configured.model_validate({"consul": {"service": name}})


class OneAnswer:
    """Says one set, or nothing at all, and then waits."""

    open = 0

    def __init__(self, answer: EndpointSet | None) -> None:
        self._answer = answer

    async def sets(self) -> AsyncGenerator[EndpointSet, None]:
        OneAnswer.open += 1
        try:
            if self._answer is not None:
                yield self._answer
            await asyncio.Event().wait()
        finally:
            OneAnswer.open -= 1


def discovery(answers: dict[str, EndpointSet | None]) -> tuple[Discovery, list[None]]:
    changes: list[None] = []

    def open_source(settings: Configured, catalogue: Catalogue) -> OneAnswer:
        assert settings.consul is not None
        return OneAnswer(answers[settings.consul.service])

    return Discovery(lambda: changes.append(None), NoCatalogue(), open_source), changes


async def test_first_answers_are_waited_for_but_not_for_ever() -> None:
    made, changes = discovery({"fast": frozenset({A}), "slow": None})
    fast, slow = {"a": configured("fast")}, {"b": configured("slow")}
    made.follow(fast | slow)
    async with asyncio.timeout(5):
        await made.first_answers(fast, timeout_s=60)
        await made.first_answers(fast | slow, timeout_s=0.05)
    assert made.endpoints(fast | slow) == {"a": {A}, "b": frozenset()}
    assert len(changes) == 1
    assert [(report.service, report.state) for report in made.reports()] == [
        ("a", "ok"),
        ("b", "waiting"),
    ]
    await made.close()
    assert OneAnswer.open == 0


async def test_a_service_configured_anew_gets_a_new_watch_beside_the_old_one() -> None:
    made, _ = discovery({"old": frozenset({A}), "new": None})
    old, new = {"a": configured("old")}, {"a": configured("new")}
    made.follow(old)
    await made.first_answers(old, 5)
    made.follow(new)
    await asyncio.sleep(0)
    assert made.endpoints(old) == {"a": {A}}
    assert made.endpoints(new) == {"a": frozenset()}
    assert OneAnswer.open == 2, "the old one is in force until the new one is"
    made.forget_others(new)
    await asyncio.sleep(0.01)
    assert (OneAnswer.open, made.endpoints(old)) == (1, {})
    await made.close()


async def test_what_stays_is_not_started_again() -> None:
    made, _ = discovery({"a": frozenset({A})})
    services = {"a": configured("a")}
    made.follow(services)
    await made.first_answers(services, 5)
    assert made.follow({"a": configured("a")}) == {}
    made.forget_others(services)
    assert made.endpoints(services) == {"a": {A}}
    await made.close()


@pytest.mark.parametrize("answer", [None, frozenset()])
async def test_known_endpoints_are_used_until_there_are_others(answer: EndpointSet | None) -> None:
    made, _ = discovery({"a": answer})
    services = {"a": configured("a")}
    made.follow(services, {"a": frozenset({A})})
    await made.first_answers(services, 0.05)
    assert made.endpoints(services) == {"a": {A}}
    await made.close()
