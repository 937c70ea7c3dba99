"""Routes, services and policies: what they have in common, and how rows look to other programs."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.store.definitions import Definition, Definitions
from gateway.store.errors import Conflict, NotFound, Superseded
from gateway.store.store import Store
from tests.conformance.store.conftest import NOW

LATER = NOW + timedelta(minutes=1)
SECTIONS: dict[str, dict[str, Any]] = {
    "routes": {"path": "/a/{rest...}", "service": "web", "methods": ["GET", "POST"]},
    "services": {"endpoints": [{"url": "http://a:1", "weight": 2}], "timeouts": {"connect": "1s"}},
    "policies": {"algorithm": "token_bucket", "key": "user", "rate": "2/s", "burst": 7},
}


@pytest.fixture(params=list(SECTIONS))
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def definitions(store: Store, kind: str) -> Definitions:
    repository: Definitions = getattr(store, kind)
    return repository


async def test_a_section_is_kept(definitions: Definitions, kind: str) -> None:
    made = await definitions.add("x", SECTIONS[kind], NOW)
    assert made == Definition("x", SECTIONS[kind], 1, NOW, NOW)
    assert await definitions.get("x") == made
    assert await definitions.get("y") is None
    await definitions.add("a", SECTIONS[kind], NOW)
    assert [row.name for row in await definitions.list()] == ["a", "x"]
    with pytest.raises(Conflict):
        await definitions.add("x", SECTIONS[kind], NOW)


async def test_replacing_checks_the_version(
    definitions: Definitions, kind: str, store: Store
) -> None:
    await definitions.add("x", SECTIONS[kind], NOW)
    changed = await definitions.replace("x", SECTIONS[kind], LATER, expected=1)
    assert (changed.version, changed.created_at, changed.updated_at) == (2, NOW, LATER)
    before = await store.changes.current()
    with pytest.raises(Superseded) as refused:
        await definitions.replace("x", SECTIONS[kind], LATER, expected=1)
    assert refused.value.current == 2
    with pytest.raises(Superseded):
        await definitions.delete("x", expected=1)
    assert await store.changes.current() == before
    await definitions.delete("x", expected=2)
    assert await definitions.list() == []


async def test_what_does_not_exist(definitions: Definitions, kind: str) -> None:
    with pytest.raises(NotFound):
        await definitions.replace("x", SECTIONS[kind], NOW)
    with pytest.raises(NotFound):
        await definitions.delete("x")


async def test_a_change_is_a_change_of_the_plan(
    definitions: Definitions, kind: str, store: Store
) -> None:
    before = await store.changes.current()
    await definitions.add("x", SECTIONS[kind], NOW)
    after = await store.changes.current()
    assert after.version == after.plan == before.version + 1
    assert after.credentials == before.credentials


@pytest.mark.parametrize(
    "endpoints",
    [
        ["http://a:1"],
        [{"url": "http://a:1", "weight": "3"}],
        [{"url": "http://" + "a" * 300}],
        [{"weight": 1}, "http://b:1", 7],
        "http://a:1",
        [],
    ],
)
async def test_endpoints_that_the_registry_cannot_hold_are_kept(
    store: Store, endpoints: Any
) -> None:
    await store.services.add("x", {"endpoints": endpoints}, NOW)
    read = await store.services.get("x")
    assert read is not None
    if endpoints == ["http://a:1"]:
        assert read.section == {"endpoints": [{"url": "http://a:1", "weight": 1}]}
    elif endpoints:
        assert read.section == {"endpoints": endpoints}


async def test_other_programs_see_their_columns(store: Store) -> None:
    for kind, section in SECTIONS.items():
        await getattr(store, kind).add("x", section, NOW)
    queries = {
        "SELECT path_pattern, service_name, method FROM gateway_routes":
            ("/a/{rest...}", "web", "GET,POST"),
        "SELECT service_name, endpoint_url, weight FROM service_registry": ("x", "http://a:1", 2),
        "SELECT requests_per_minute, burst_capacity FROM rate_limit_policies": (120, 7),
    }  # fmt: skip
    async with store.database.read() as connection:
        for query, expected in queries.items():
            assert tuple((await connection.execute(sa.text(query))).one()) == expected


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"split": [{"service": "old", "weight": 9}, {"service": "new"}]}, "old"),
        ({"service": "shop", "split": [{"service": "old"}]}, "shop"),
        ({"split": "nonsense"}, ""),
        ({"split": ["nonsense"]}, ""),
    ],
)
async def test_other_programs_see_the_first_service_of_a_split(
    store: Store, section: dict[str, Any], expected: str
) -> None:
    await store.routes.add("x", {"path": "/x", **section}, NOW)
    async with store.database.read() as connection:
        row = await connection.execute(sa.text("SELECT service_name FROM gateway_routes"))
    assert row.scalar_one() == expected


async def test_columns_say_what_they_have_room_for(store: Store) -> None:
    section = {"path": "/x", "service": "s" * 300, "methods": ["M" * 200, "N" * 200]}
    made = await store.routes.add("x", section, NOW)
    assert made.section == section


async def test_rows_that_other_programs_wrote_are_read(store: Store) -> None:
    statements = [
        "INSERT INTO gateway_routes (name, path_pattern, service_name, method, auth_required)"
        " VALUES ('a', '/a', 'web', 'GET', false), ('b', '/b', 'web', '*', true)",
        "INSERT INTO services (name) VALUES ('web')",
        "INSERT INTO service_registry (service_name, endpoint_url, is_active)"
        " VALUES ('web', 'http://a:1', true), ('web', 'http://b:1', false)",
        "INSERT INTO rate_limit_policies (policy_name, requests_per_minute, burst_capacity)"
        " VALUES ('slow', 60, 5)",
    ]
    async with store.database.write() as connection:
        for statement in statements:
            await connection.execute(sa.text(statement))
    assert [row.section for row in await store.routes.list()] == [
        {"path": "/a", "service": "web", "methods": ["GET"], "auth": "none"},
        {"path": "/b", "service": "web"},
    ]
    assert [row.section for row in await store.services.list()] == [
        {"endpoints": [{"url": "http://a:1", "weight": 1}]}
    ]
    assert [row.section for row in await store.policies.list()] == [
        {"algorithm": "token_bucket", "rate": "60/min", "burst": 5}
    ]
