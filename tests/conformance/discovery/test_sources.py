"""What every source of endpoints must do, whatever it asks.

DNS is asked of a real dnsmasq and of a server of ours with real sockets. Consul and Kubernetes are
faithful doubles of their documented HTTP protocols, see `tests/servers/consul_server.py` and
`tests/servers/kubernetes_server.py` for what they model. The registry is a real SQLite.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from gateway.upstreams.discovery import consul, dns, kubernetes, registry, watch
from gateway.upstreams.discovery.source import EndpointSet, Source, SourceError
from gateway.upstreams.discovery.watch import Watch
from tests.conformance.discovery.sites import SITES, Site

WITHIN_S = 10.0


@pytest.fixture(params=SITES)
def site(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    monkeypatch.setattr(dns, "QUERY_TIMEOUT_S", 0.2)
    monkeypatch.setattr(consul, "WAIT_S", 1)
    monkeypatch.setattr(kubernetes, "WATCH_S", 1)
    monkeypatch.setattr(kubernetes, "PAUSE_S", 0.1)
    monkeypatch.setattr(registry, "POLL_S", 0.1)
    monkeypatch.setattr(watch, "FIRST_PAUSE_S", 0.05)
    made = SITES[request.param](tmp_path)
    yield made
    made.close()


@contextlib.asynccontextmanager
async def opened(source: Source) -> AsyncGenerator[AsyncGenerator[EndpointSet, None], None]:
    async with asyncio.timeout(WITHIN_S), contextlib.aclosing(source.sets()) as sets:
        yield sets


async def until(sets: AsyncGenerator[EndpointSet, None], urls: set[str]) -> EndpointSet:
    """Read on until these are the endpoints."""
    seen: list[set[str]] = []
    try:
        async for found in sets:
            seen.append({endpoint.url for endpoint in found})
            if seen[-1] == urls:
                return found
    except (TimeoutError, asyncio.CancelledError):
        raise AssertionError(f"never {urls}, but {seen[-5:]}") from None
    raise AssertionError("the source ended")


async def test_the_first_set_comes_at_once(site: Site) -> None:
    site.put(1, 2, 3)
    async with opened(site.source()) as sets:
        found = await anext(sets)
    assert {endpoint.url for endpoint in found} == {site.url(1), site.url(2), site.url(3)}
    assert {endpoint.weight for endpoint in found} == {1}


async def test_changes_come_as_whole_sets(site: Site) -> None:
    site.put(1, 2)
    async with opened(site.source()) as sets:
        await until(sets, {site.url(1), site.url(2)})
        site.put(2, 3, 4)
        await until(sets, {site.url(2), site.url(3), site.url(4)})
        site.put(1)
        await until(sets, {site.url(1)})


async def test_nothing_is_an_answer_and_not_a_failure(site: Site) -> None:
    async with opened(site.source()) as sets:
        assert await anext(sets) == frozenset()
        site.put(1)
        await until(sets, {site.url(1)})
        site.put()
        await until(sets, set())


async def test_what_stays_the_same_is_confirmed(site: Site) -> None:
    site.put(1)
    async with opened(site.source()) as sets:
        found = [await anext(sets)]
        # Kubernetes sends bookmarks only now and then; any event of the service will do.
        if hasattr(site, "server") and hasattr(site.server, "bookmark"):
            site.server.bookmark()
        found.append(await anext(sets))
    assert found[0] == found[1] != frozenset()


async def test_a_server_that_is_gone_is_a_failure(site: Site) -> None:
    site.put(1)
    site.kill()
    async with opened(site.source()) as sets:
        with pytest.raises(SourceError) as caught:
            await anext(sets)
    assert str(caught.value), "it says why"


async def test_a_server_that_goes_is_a_failure_and_the_source_begins_anew(site: Site) -> None:
    site.put(1)
    source = site.source()
    async with opened(source) as sets:
        await until(sets, {site.url(1)})
        site.kill()
        with pytest.raises(SourceError):
            async for _ in sets:
                pass
    site.revive()
    site.put(2)
    async with opened(source) as sets:
        await until(sets, {site.url(2)})


async def test_a_source_that_is_closed_leaves_nothing_behind(site: Site) -> None:
    site.put(1)
    tasks = asyncio.all_tasks()
    async with opened(site.source()) as sets:
        await anext(sets)
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == tasks


async def test_a_watch_keeps_the_last_good_set_through_all_of_it(site: Site) -> None:
    changes: list[EndpointSet] = []
    site.put(1)
    watched = Watch("web", "test", site.source(), lambda: changes.append(watched.endpoints))
    running = asyncio.create_task(watched.run())
    try:
        async with asyncio.timeout(WITHIN_S):
            await watched.answered.wait()
            site.put()
            await _state(watched, "empty")
            assert {endpoint.url for endpoint in watched.endpoints} == {site.url(1)}
            site.kill()
            await _state(watched, "failing")
            assert {endpoint.url for endpoint in watched.endpoints} == {site.url(1)}
            site.revive()
            site.put(3)
            await _state(watched, "ok")
            while {endpoint.url for endpoint in watched.endpoints} != {site.url(3)}:
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert watched.report().failures >= 1
    assert frozenset() not in changes


async def _state(watched: Watch, state: str) -> None:
    while watched.report().state != state:
        await asyncio.sleep(0.01)
