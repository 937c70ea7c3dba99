"""Who is registered, as the control process tells discovery, and what it writes back."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.config.stored import Stored, StoredSection
from gateway.control import registry as module
from gateway.control.publication import Publication
from gateway.control.registry import Outage, ServiceRegistry
from gateway.control.store_link import StoreLink
from gateway.store.instances import Instance, Registration
from gateway.store.store import Store
from gateway.upstreams.discovery.source import Endpoint, SourceError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOTHING = Publication(1, "{}", {}, 0)
DISCOVERED = replace(NOTHING, discovery={"shop": {"registry": {"service": "web"}}})


@pytest.fixture
async def link(tmp_path: Path) -> AsyncIterator[StoreLink]:
    made = StoreLink(f"sqlite:///{tmp_path}/gateway.db", tmp_path, lambda: None, lambda _: None)
    following = asyncio.create_task(made.run())
    async with asyncio.timeout(20):
        while not made.available:
            await asyncio.sleep(0.01)
    yield made
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_a_registration_is_heard_of_at_once(link: StoreLink) -> None:
    registry = ServiceRegistry(link, NOTHING)
    async with asyncio.timeout(5):
        version = registry.version()
        assert (await registry.in_use("web"))[0] == frozenset()
        now = datetime.now(UTC)
        said = Registration("web", "http://a:1", 99_999, "z", ttl_s=60)
        made, _ = await link.store().instances.register(said, now)
        await registry.changed(version, 60)
        found, silent_in_s = await registry.in_use("web")
        assert found == {Endpoint("http://a:1", 65_535, "z")}
        assert 50 < silent_in_s <= 61
        await link.store().instances.change(made.id, now, active=False)
        await registry.changed(registry.version(), 60)
        assert (await registry.in_use("web"))[0] == frozenset()


async def test_a_wait_ends_with_its_time(link: StoreLink) -> None:
    registry = ServiceRegistry(link, NOTHING)
    async with asyncio.timeout(5):
        await registry.changed(registry.version(), 0.01)


def instance(expires_at: datetime | None, ttl_s: int | None = 30) -> Instance:
    return Instance(1, "web", "http://a:1", 1, None, None, True, ttl_s, expires_at, "unknown",
                    None, None, 1, NOW, NOW)  # fmt: skip


def test_an_outage_of_the_store_is_nobodys_silence() -> None:
    outage = Outage()
    seconds = [NOW + timedelta(seconds=number) for number in range(200)]
    alive, gone = instance(seconds[20]), instance(seconds[5])
    assert outage.end_of(instance(None, None)) > seconds[-1]
    outage.is_over(seconds[10])
    outage.goes_on(seconds[12])
    outage.goes_on(seconds[90])
    assert outage.end_of(alive) == seconds[20]
    outage.is_over(seconds[100])
    assert outage.end_of(alive) == seconds[130], "a whole time to live from its end on"
    assert outage.end_of(gone) == seconds[5], "it was silent before"
    assert outage.end_of(instance(seconds[150])) == seconds[150]
    outage.is_over(seconds[110])
    assert outage.end_of(alive) == seconds[130]


async def test_a_store_that_is_away_is_a_failure_of_the_source(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gateway.db"
    closed = StoreLink(url, tmp_path, lambda: None, lambda _: None)
    registry = ServiceRegistry(closed, NOTHING)
    with pytest.raises(SourceError, match="could not be opened yet"):
        await registry.in_use("web")


async def test_health_is_written_to_the_row(
    link: StoreLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REPORT_S", 0.01)
    store = link.store()
    now = datetime.now(UTC)
    made, _ = await store.instances.register(Registration("web", "http://a:1"), now)
    await store.services.add("stored", {"endpoints": ["http://b:1"]}, now)
    link.stored = Stored((StoredSection("service", "stored", {}),))
    registry = ServiceRegistry(link, DISCOVERED)
    registry.health_changed("shop", "http://a:1", "healthy")
    registry.health_changed("shop", "http://a:1", "unhealthy")
    registry.health_changed("stored", "http://b:1", "healthy")
    registry.health_changed("of the file", "http://c:1", "healthy")
    running = asyncio.create_task(registry.run())
    async with asyncio.timeout(5):
        while await health_of(store, made.id) != "unhealthy":
            await asyncio.sleep(0.01)
    running.cancel()
    [endpoint] = await store.instances.of_service("stored")
    assert endpoint.health == "healthy"
    assert endpoint.health_reported_by


async def test_health_waits_for_the_store(link: StoreLink, tmp_path: Path) -> None:
    closed = StoreLink(f"sqlite:///{tmp_path}/x.db", tmp_path, lambda: None, lambda _: None)
    registry = ServiceRegistry(closed, DISCOVERED)
    made, _ = await link.store().instances.register(Registration("web", "http://a:1"), NOW)
    registry.health_changed("shop", "http://a:1", "healthy")
    await registry.report()
    registry.health_changed("shop", "http://a:1", "unhealthy")
    await registry.report()
    closed._store = link.store()
    await registry.report()
    assert await health_of(link.store(), made.id) == "unhealthy", "the latest"


async def health_of(store: Store, instance_id: int) -> str:
    row = await store.instances.by_id(instance_id)
    assert row is not None
    return row.health
