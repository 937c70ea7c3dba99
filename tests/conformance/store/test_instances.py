"""Registered instances: who registers, who is in use, what others hear of it."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from gateway.store.errors import Conflict, NotFound, Superseded
from gateway.store.instances import FORGET_AFTER, Health, Instance, Registration
from gateway.store.store import Store
from tests.conformance.store.conftest import NOW

LATER = NOW + timedelta(seconds=30)
ONE = Registration("web", "http://10.0.0.1:80", 3, "a", {"build": 7}, 60)


async def in_use(store: Store, at: timedelta = timedelta()) -> list[str]:
    rows = await store.instances.of_service("web")
    return [row.url for row in rows if row.state(NOW + at) == "active"]


async def test_who_registers_is_in_use_until_the_time_is_over(store: Store) -> None:
    before = await store.changes.current()
    made, is_new = await store.instances.register(ONE, NOW)
    assert is_new
    assert made == Instance(
        made.id, "web", ONE.url, 3, "a", {"build": 7}, True, 60, NOW + timedelta(seconds=60),
        "unknown", None, None, 1, NOW, NOW,
    )  # fmt: skip
    assert (await store.changes.current()).registry == before.version + 1
    assert await store.instances.by_id(made.id) == made
    assert await in_use(store, timedelta(seconds=59)) == [ONE.url]
    assert await in_use(store, timedelta(seconds=60)) == []
    assert await store.instances.of_service("other") == []


async def test_who_registers_twice_is_one(store: Store) -> None:
    first, _ = await store.instances.register(ONE, NOW)
    second, is_new = await store.instances.register(Registration("web", ONE.url), LATER)
    assert (second.id, is_new) == (first.id, False)
    assert (second.weight, second.zone, second.expires_at) == (1, None, None)
    assert (second.version, second.created_at, second.updated_at) == (2, NOW, LATER)


async def test_a_heartbeat_is_no_change_and_a_return_is_one(store: Store) -> None:
    made, _ = await store.instances.register(ONE, NOW)
    before = await store.changes.current()
    alive = await store.instances.heartbeat(made.id, LATER)
    assert alive.expires_at == LATER + timedelta(seconds=60)
    assert alive.version == 1
    assert await store.changes.current() == before
    await store.instances.heartbeat(made.id, LATER + timedelta(minutes=5))
    assert (await store.changes.current()).registry == before.version + 1
    with pytest.raises(NotFound, match="has to register again"):
        await store.instances.heartbeat(made.id + 1, NOW)
    for_good, _ = await store.instances.register(Registration("web", "http://b:1"), NOW)
    with pytest.raises(Conflict, match="needs no heartbeat"):
        await store.instances.heartbeat(for_good.id, NOW)


async def test_changes_check_the_version(store: Store) -> None:
    made, _ = await store.instances.register(ONE, NOW)
    out = await store.instances.change(made.id, LATER, 1, active=False, weight=0)
    assert (out.active, out.weight, out.version, out.updated_at) == (False, 0, 2, LATER)
    assert await in_use(store) == []
    with pytest.raises(Superseded):
        await store.instances.change(made.id, LATER, 1, active=True)
    with pytest.raises(Superseded):
        await store.instances.remove(made.id, 1)
    await store.instances.remove(made.id, 2)
    with pytest.raises(NotFound):
        await store.instances.remove(made.id)


async def test_lists_go_on_behind_an_id(store: Store) -> None:
    rows = [(await store.instances.register(Registration(name, "http://a:1"), NOW))[0]
            for name in ("web", "api", "web2")]  # fmt: skip
    assert await store.instances.list() == rows
    assert await store.instances.list("web") == rows[:1]
    assert await store.instances.list(after=rows[0].id, limit=1) == [rows[1]]


async def test_who_was_silent_for_long_is_forgotten(store: Store) -> None:
    await store.instances.register(ONE, NOW)
    after = NOW + FORGET_AFTER + timedelta(seconds=121)
    other, _ = await store.instances.register(Registration("web", "http://b:1"), after)
    assert len(await store.instances.list()) == 2, "a registration says nothing of others"
    assert await store.instances.forget(NOW + FORGET_AFTER, NOW - FORGET_AFTER) == 0
    assert await store.instances.forget(after, NOW + timedelta(seconds=61)) == 0
    assert await store.instances.forget(after, NOW + timedelta(seconds=59)) == 1
    assert await store.instances.list() == [other]


async def test_who_registers_again_stays_out_of_use(store: Store) -> None:
    made, _ = await store.instances.register(ONE, NOW)
    await store.instances.change(made.id, NOW, active=False)
    again, is_new = await store.instances.register(replace(ONE, weight=9), LATER)
    assert (again.active, again.weight, is_new) == (False, 9, False)


async def test_what_is_said_again_is_a_heartbeat(store: Store) -> None:
    assert await store.instances.renew(ONE, NOW) is None
    made, _ = await store.instances.register(ONE, NOW)
    before = await store.changes.current()
    alive = await store.instances.renew(ONE, LATER)
    assert alive == replace(made, expires_at=LATER + timedelta(seconds=60))
    assert await store.changes.current() == before
    assert await store.instances.renew(replace(ONE, metadata=None), LATER) is None
    gone = LATER + timedelta(minutes=5)
    assert await store.instances.renew(ONE, gone) is None, "it returns, and others hear of it"
    await store.instances.change(made.id, NOW, active=False)
    assert await store.instances.renew(ONE, gone) is not None


async def test_who_is_out_of_use_tells_nobody_that_it_lives(store: Store) -> None:
    made, _ = await store.instances.register(ONE, NOW)
    await store.instances.change(made.id, NOW, active=False)
    before = await store.changes.current()
    alive = await store.instances.heartbeat(made.id, NOW + timedelta(minutes=5))
    assert alive.expires_at == NOW + timedelta(minutes=6)
    assert await store.changes.current() == before


async def test_health_is_kept_and_nobody_is_told(store: Store) -> None:
    made, _ = await store.instances.register(ONE, NOW)
    before = await store.changes.current()
    found = [
        Health("web", ONE.url, "unhealthy", LATER),
        Health("web", "http://gone:1", "healthy", LATER),
    ]
    await store.instances.report_health(found, "host-a")
    row = await store.instances.by_id(made.id)
    assert row is not None
    assert (row.health, row.health_changed_at, row.health_reported_by) == (
        "unhealthy", LATER, "host-a",
    )  # fmt: skip
    assert row.version == 1
    assert await store.changes.current() == before
    assert await in_use(store) == [ONE.url], "each gateway goes by its own checks"


async def test_the_endpoints_of_a_definition_are_left_alone(store: Store) -> None:
    await store.services.add("web", {"endpoints": ["http://a:1"]}, NOW)
    [endpoint] = await store.instances.list()
    same = Registration("web", "http://a:1")
    for change in (
        lambda: store.instances.register(ONE, NOW),
        lambda: store.instances.renew(same, NOW),
        lambda: store.instances.change(endpoint.id, NOW, weight=9),
        lambda: store.instances.remove(endpoint.id),
    ):
        with pytest.raises(Conflict, match="part of its stored definition"):
            await change()
    assert await store.instances.list() == [endpoint]


async def test_a_service_with_endpoints_does_not_swallow_instances(store: Store) -> None:
    section = {"endpoints": [{"url": "http://b:1", "zone": "a"}]}
    for registration in (ONE, Registration("web", ONE.url)):
        made, _ = await store.instances.register(registration, NOW)
        with pytest.raises(Conflict, match="1 instances are registered under the name web"):
            await store.services.add("web", section, NOW)
        assert await store.services.get("web") is None
        await store.instances.remove(made.id)
    await store.instances.register(ONE, NOW)
    added = await store.services.add("web", section, NOW + timedelta(seconds=60))
    assert added.section == section
    assert await store.instances.list() == [], "who is silent is no endpoint, now or later"


async def test_endpoints_of_the_section_come_first(store: Store) -> None:
    section = {"endpoints": [{"url": "http://b:1", "zone": "a"}]}
    await store.services.add("web", section, NOW)
    text = (
        "INSERT INTO service_registry (service_name, endpoint_url, is_active)"
        " VALUES ('web', 'http://a:1', true)"
    )
    async with store.database.write() as connection:
        await connection.execute(sa.text(text))
    assert [row.section for row in await store.services.list()] == [section]


async def test_reports_are_written_in_one_order(store: Store) -> None:
    urls = [f"http://10.0.0.{number}:80" for number in range(30)]
    for url in urls:
        await store.instances.register(Registration("web", url), NOW)
    forth = [Health("web", url, "healthy", NOW) for url in urls]
    for _ in range(10):
        await asyncio.gather(
            store.instances.report_health(forth, "host-a"),
            store.instances.report_health(reversed(forth), "host-b"),
        )


async def test_instances_are_no_part_of_a_discovered_service(store: Store) -> None:
    section = {"discovery": {"registry": {"service": "web"}}}
    await store.services.add("web", section, NOW)
    made, _ = await store.instances.register(ONE, NOW)
    read = await store.services.get("web")
    assert read is not None
    assert read.section == section
    await store.services.replace("web", section | {"timeouts": {"connect": "1s"}}, NOW)
    assert await store.instances.by_id(made.id) == made, "they stay when settings change"
    await store.services.replace("web", {"endpoints": ["http://b:1"]}, NOW)
    assert await in_use(store) == ["http://b:1"], "they go when it is no longer discovered"
    await store.services.delete("web")
    assert await store.instances.list() == []


async def test_rows_of_other_programs_are_instances(store: Store) -> None:
    text = (
        "INSERT INTO service_registry (service_name, endpoint_url, is_active)"
        " VALUES ('web', 'http://a:1', true), ('web', 'http://b:1', false)"
    )
    async with store.database.write() as connection:
        await connection.execute(sa.text(text))
    assert await in_use(store) == ["http://a:1"]
