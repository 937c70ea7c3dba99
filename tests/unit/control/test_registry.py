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
from gateway.control.registry import Outages, ServiceRegistry
from gateway.control.store_link import StoreLink
from gateway.store.instances import FORGET_AFTER, Instance, Registration
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
    outages = Outages()
    seconds = [NOW + timedelta(seconds=number) for number in range(300)]
    alive, gone = instance(seconds[80]), instance(seconds[45])
    assert outages.end_of(instance(None, None)) > seconds[-1]
    outages.is_over(seconds[10])
    outages.is_over(seconds[60])
    outages.goes_on()
    assert outages.up_since is None
    outages.goes_on()
    assert outages.end_of(alive) == seconds[80]
    outages.is_over(seconds[100])
    assert outages.end_of(alive) == seconds[130], "a whole time to live from its end on"
    assert outages.end_of(gone) == seconds[45], "it was silent before"
    assert outages.end_of(instance(seconds[150])) == seconds[150]
    outages.is_over(seconds[110])
    assert outages.end_of(alive) == seconds[130]
    assert outages.up_since == seconds[100]
    outages.goes_on()
    outages.is_over(seconds[200])
    assert outages.end_of(alive) == seconds[230], "one outage soon after another"


def test_a_start_may_be_the_end_of_an_outage() -> None:
    outages = Outages()
    assert outages.up_since is None
    long_silent = instance(NOW - timedelta(hours=5))
    outages.goes_on()
    outages.is_over(NOW)
    assert outages.up_since == NOW
    assert outages.end_of(long_silent) == NOW + timedelta(seconds=30)
    assert outages.end_of(instance(None, None)) > NOW


async def test_who_is_silent_is_forgotten_when_the_store_was_up_for_long(link: StoreLink) -> None:
    registry = ServiceRegistry(link, NOTHING)
    instances = link.store().instances
    await instances.register(Registration("web", "http://a:1", ttl_s=60), NOW)
    after = NOW + 3 * FORGET_AFTER
    await registry.forget(after)
    await registry.forget(after + FORGET_AFTER)
    assert len(await instances.list()) == 1, "there was no time for a heartbeat"
    registry._outages.goes_on()
    await registry.forget(after + 2 * FORGET_AFTER)
    await registry.forget(after + 3 * FORGET_AFTER)
    assert len(await instances.list()) == 1, "an outage lies between"
    await registry.forget(after + 4 * FORGET_AFTER)
    assert await instances.list() == []


async def test_a_report_that_fails_ends_nothing(
    link: StoreLink, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "REPORT_S", 0.01)
    monkeypatch.setattr(module, "FORGET_EVERY_S", 0.01)
    instances = link.store().instances
    made, _ = await instances.register(Registration("web", "http://a:1"), NOW)
    tries = 0

    async def fails(*_: object) -> None:
        nonlocal tries
        tries += 1
        raise RuntimeError("out of luck")

    registry = ServiceRegistry(link, DISCOVERED)
    registry.health_changed("shop", "http://a:1", "healthy")
    with monkeypatch.context() as patched:
        patched.setattr(instances, "report_health", fails)
        patched.setattr(instances, "forget", fails)
        running = asyncio.create_task(registry.run())
        async with asyncio.timeout(5):
            while tries < 6:
                await asyncio.sleep(0.01)
    assert caplog.text.count("it is tried again") == 1
    async with asyncio.timeout(5):
        while await health_of(link.store(), made.id) != "healthy":
            await asyncio.sleep(0.01)
    running.cancel()


async def test_a_store_that_is_away_is_a_failure_of_the_source(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/none/gateway.db"
    closed = StoreLink(url, tmp_path, lambda: None, lambda _: None)
    registry = ServiceRegistry(closed, NOTHING)
    following = asyncio.create_task(closed.run())
    async with asyncio.timeout(20):
        with pytest.raises(SourceError, match="could not be opened yet"):
            await registry.in_use("web")
    following.cancel()


async def test_a_store_that_is_being_opened_is_waited_for(tmp_path: Path) -> None:
    opening = StoreLink(f"sqlite:///{tmp_path}/g.db", tmp_path, lambda: None, lambda _: None)
    asked = asyncio.create_task(ServiceRegistry(opening, NOTHING).in_use("web"))
    await asyncio.sleep(0.01)
    assert not asked.done(), "nobody has tried to open it"
    following = asyncio.create_task(opening.run())
    async with asyncio.timeout(20):
        assert (await asked)[0] == frozenset()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


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
