"""Discovered endpoints on their way into Plans."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.channel import Message
from gateway.control import endpoints as module
from gateway.control.endpoints import Endpoints, with_endpoints
from gateway.control.publication import Publication
from gateway.control.publish import ConfigSource, publish
from gateway.upstreams.discovery import discovery as discovery_module
from gateway.upstreams.discovery.source import Endpoint, EndpointSet
from tests.conformance.discovery.sites import NoCatalogue
from tests.servers.plans import Lengths

TEXT = """\
services:
  web: { discovery: { consul: { service: web, token: secret } } }
  other: { endpoints: [ http://127.0.0.1:9 ] }
routes: [ { path: /a, service: web }, { path: /b, service: other } ]
"""
A, B = Endpoint("http://10.0.0.1:80", 2, "z"), Endpoint("http://10.0.0.2:80")


class Fed:
    """A source that says what the test puts into it."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[EndpointSet] = asyncio.Queue()

    async def sets(self) -> AsyncGenerator[EndpointSet, None]:
        while True:
            yield await self.answers.get()


@pytest.fixture
def fed(monkeypatch: pytest.MonkeyPatch) -> Fed:
    source = Fed()
    monkeypatch.setattr(module, "FIRST_ANSWERS_S", 0.1)
    monkeypatch.setattr(module, "DEBOUNCE_S", 0.05)
    monkeypatch.setattr(discovery_module.Discovery.__init__, "__defaults__", (lambda *_: source,))
    return source


@pytest.fixture
def compiled(tmp_path: Path) -> Publication:
    path = tmp_path / "gateway.yaml"
    path.write_text(TEXT)
    return publish(ConfigSource(path).load(), labels=Lengths(), generation=1)


def urls(publication: Publication, service: str = "web") -> list[str]:
    services = orjson.loads(publication.plan)["services"]
    [found] = [each for each in services if each["name"] == service]
    return [endpoint["url"] for endpoint in found["endpoints"]]


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


def test_the_configuration_is_compiled_without_endpoints(compiled: Publication) -> None:
    assert urls(compiled) == []
    assert urls(compiled, "other") == ["http://127.0.0.1:9"]
    assert compiled.discovery["web"]["consul"]["token"] == "secret"
    assert "secret" not in str(compiled.config)
    assert "secret" not in compiled.plan
    assert Publication.from_message(orjson.loads(orjson.dumps(compiled.to_message()))) == compiled


def test_endpoints_are_put_into_a_plan(compiled: Publication) -> None:
    made = with_endpoints(compiled, {"web": {B, A}}, 7, Lengths())
    assert made.generation == 7
    assert orjson.loads(made.plan)["generation"] == 7
    assert orjson.loads(made.plan)["services"][0]["endpoints"][0] == {
        "url": A.url, "host": "10.0.0.1", "port": 80, "unix": None, "weight": 2, "zone": "z",
        "priority": 0,
        "place": len(f"web {A.url}"),
    }  # fmt: skip
    assert urls(made) == [A.url, B.url]
    assert urls(made, "other") == ["http://127.0.0.1:9"]
    assert with_endpoints(made, {}, 8, Lengths()).discovery == compiled.discovery


async def test_changes_are_told_and_gathered(fed: Fed, compiled: Publication) -> None:
    sent: list[Message] = []
    endpoints = Endpoints(sent.append, Lengths(), compiled, NoCatalogue())
    running = asyncio.create_task(endpoints.run())
    fed.answers.put_nowait(frozenset({A}))
    await until(lambda: {"type": "endpoints"} in sent)
    assert urls(endpoints.refresh(2)) == [A.url]
    sent.clear()
    for answer in ({B}, {A}, {A, B}):
        fed.answers.put_nowait(frozenset(answer))
    await until(lambda: {"type": "endpoints"} in sent)
    await asyncio.sleep(0.15)
    assert sent.count({"type": "endpoints"}) <= 2, "three changes within one pause"
    assert urls(endpoints.refresh(3)) == [A.url, B.url]
    [report] = endpoints.reports()
    assert (report.service, report.source) == ("web", "consul web at http://127.0.0.1:8500")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_source_that_is_silent_at_the_start_is_not_waited_for_long(
    fed: Fed, compiled: Publication
) -> None:
    sent: list[Message] = []
    running = asyncio.create_task(Endpoints(sent.append, Lengths(), compiled, NoCatalogue()).run())
    await until(lambda: {"type": "endpoints"} in sent)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_new_control_process_knows_what_is_in_force(
    fed: Fed, compiled: Publication
) -> None:
    in_force = with_endpoints(compiled, {"web": {A}}, 5, Lengths())
    endpoints = Endpoints(lambda message: None, Lengths(), in_force, NoCatalogue())
    running = asyncio.create_task(endpoints.run())
    await asyncio.sleep(0.02)
    assert urls(endpoints.refresh(6)) == [A.url]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_reload_waits_for_a_new_source_and_the_old_one_stays_until_then(
    fed: Fed, compiled: Publication
) -> None:
    nothing = Publication(1, '{"services": []}', {}, 30.0)
    endpoints = Endpoints(lambda message: None, Lengths(), nothing, NoCatalogue())
    assert await endpoints.fill(nothing) is nothing
    assert endpoints.reports() == []
    asyncio.get_running_loop().call_later(0.02, fed.answers.put_nowait, frozenset({A}))
    filled = await endpoints.fill(compiled)
    assert urls(filled) == [A.url]
    endpoints.published(filled)
    assert len(endpoints.reports()) == 1
    async with asyncio.timeout(0.05):
        assert urls(await endpoints.fill(compiled)) == [A.url], "nothing new to wait for"
    endpoints.published(nothing)
    assert endpoints.reports() == []
    await asyncio.sleep(0.01)


async def test_a_reload_waits_in_vain_only_once(fed: Fed, compiled: Publication) -> None:
    endpoints = Endpoints(lambda message: None, Lengths(), compiled, NoCatalogue())
    await endpoints.fill(compiled)
    async with asyncio.timeout(0.05):
        assert urls(await endpoints.fill(compiled)) == []
    endpoints.published(Publication(2, '{"services": []}', {}, 30.0))
    await asyncio.sleep(0.01)


async def test_the_report_says_what_people_may_know(fed: Fed, compiled: Publication) -> None:
    sent: list[Message] = []
    running = asyncio.create_task(Endpoints(sent.append, Lengths(), compiled, NoCatalogue()).run())
    fed.answers.put_nowait(frozenset({A}))
    await until(lambda: any(message["type"] == "discovery" for message in sent))
    [service] = next(message for message in sent if message["type"] == "discovery")["services"]
    assert service["endpoints"] == [A._asdict()]
    assert service["state"] == "ok"
    assert b"secret" not in orjson.dumps(sent)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
