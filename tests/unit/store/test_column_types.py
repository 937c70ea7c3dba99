"""What SQLite has taken from other programs: it takes anything, and nothing of it stops us."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.store.store import Store

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ROUTE = {"path": "/a", "service": "web"}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(f"sqlite:///{tmp_path}/gateway.db") as opened:
        yield opened


async def execute(store: Store, *statements: str) -> None:
    async with store.database.write() as connection:
        for statement in statements:
            await connection.execute(sa.text(statement))


@pytest.mark.parametrize(
    "definition",
    [
        "'{\"a\": '",
        "'{\"a\": NaN}'",
        '\'{"a": "\\ud800"}\'',
        "x'ff'",
        "CAST(x'7b2261223a2022ff227d' AS TEXT)",
    ],
)
async def test_a_definition_that_is_none_is_told_of(store: Store, definition: str) -> None:
    for name in ("bad", "good"):
        await store.routes.add(name, ROUTE, NOW)
    update = f"UPDATE gateway_routes SET definition = {definition} WHERE name = 'bad'"
    async with store.database.write() as connection:
        await connection.exec_driver_sql(update)
    bad, good = await store.routes.list()
    assert (good.section, good.problem) == (ROUTE, None)
    assert bad.section is None
    assert bad.problem


async def test_a_time_that_is_none_is_long_ago(store: Store) -> None:
    await store.routes.add("bad", ROUTE, NOW)
    await execute(store, "UPDATE gateway_routes SET created_at = 'now'")
    [bad] = await store.routes.list()
    assert bad.created_at.year == 1970
    assert bad.section == ROUTE


async def test_what_ends_at_a_time_that_is_none_has_ended(store: Store) -> None:
    made = await store.admin_tokens.create_first(
        "id", b"digest", name="first", role="admin", now=NOW
    )
    assert made is not None
    await execute(store, "UPDATE admin_tokens SET expires_at = 'never'")
    token = await store.admin_tokens.by_digest(b"digest")
    assert token is not None
    assert not token.is_valid(NOW)


async def test_columns_of_bytes_cost_their_row_alone(store: Store) -> None:
    await execute(
        store,
        "INSERT INTO gateway_routes (name, path_pattern, service_name, method)"
        " VALUES (x'ff', '/a', 'web', '*'), ('b', x'ff', 'web', x'ff'), ('c', '/c', 'web', '*'),"
        " (CAST(x'64ff' AS TEXT), '/d', 'web', '*')",
        "INSERT INTO services (name) VALUES ('web')",
        "INSERT INTO service_registry (service_name, endpoint_url) VALUES ('web', x'ff')",
    )
    rows = {row.name: row.problem for row in await store.routes.list()}
    assert rows.keys() == {"b'\\xff'", "b", "c", "d\\xff"}
    assert rows["c"] is None
    assert rows["b"] is not None
    [web] = await store.services.list()
    assert web.problem is not None


async def test_another_document_that_is_none_is_as_if_left_out(store: Store) -> None:
    await store.audit.append("me", "route.create", "a", now=NOW, after={"a": 1})
    await execute(store, "UPDATE audit_log SET after = '{'")
    [entry] = await store.audit.list()
    assert entry.after is None
