import asyncio
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from gateway.store.errors import SchemaUnknown
from gateway.store.migrate import HEAD, MIGRATIONS, current, upgrade
from gateway.store.store import Store
from gateway.store.tables import METADATA, api_key_versions


def test_the_newest_revision_is_known() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == HEAD


async def test_the_migrations_lead_to_the_tables(store: Store) -> None:
    def is_compared(item: Any, name: str | None, kind: str, *_: object) -> bool:
        # SQLAlchemy does not see the ON DELETE of a column's own constraint, which is all that
        # ALTER TABLE can add to SQLite; test_a_key_may_belong_to_a_client shows that it holds.
        if kind != "foreign_key_constraint" or store.database.dialect != "sqlite":
            return True
        return item.column_keys != ["client_id"]

    def differences(connection: sa.Connection) -> list[object]:
        opts = {"compare_type": True, "include_object": is_compared}
        context = MigrationContext.configure(connection, opts=opts)
        found: list[object] = compare_metadata(context, METADATA)
        return found

    async with store.database.read() as connection:
        assert await connection.run_sync(differences) == []
    assert await current(store.database) == HEAD


async def test_an_upgraded_database_is_left_alone(store: Store) -> None:
    before = await store.changes.current()
    await upgrade(store.database)
    assert await store.changes.current() == before


async def test_several_hosts_upgrade_at_once(store_url: str) -> None:
    stores = [Store(store_url) for _ in range(4)]
    try:
        assert await current(stores[0].database) is None
        await asyncio.gather(*(store.upgrade() for store in stores))
        assert (await stores[0].changes.current()).version == 1
    finally:
        for store in stores:
            await store.close()


async def test_a_newer_database_is_refused(store: Store) -> None:
    async with store.database.write() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaUnknown, match="another version of the gateway"):
        await store.upgrade()


async def test_an_older_database_keeps_what_is_in_it(store_url: str) -> None:
    store = Store(store_url)

    def to_first(connection: sa.Connection) -> None:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, "0001")

    rows = [
        "INSERT INTO users (id, email, password_hash, scopes) VALUES ('u', 'a@x.org', 'h', '[]')",
        "INSERT INTO api_keys (id, owner_id, scopes) VALUES ('k', 'u', '[]')",
    ]
    try:
        async with store.database.write() as connection:
            await connection.run_sync(to_first)
            for row in rows:
                await connection.execute(sa.text(row))
            version = {"key_id": "k", "version": 1, "digest": b"d"}
            await connection.execute(sa.insert(api_key_versions).values(version))
        await store.upgrade()
        assert await current(store.database) == HEAD
        key = await store.api_keys.by_id("k")
        assert key is not None
        assert (key.owner_email, key.client_id, key.versions[0].digest) == ("a@x.org", None, b"d")
    finally:
        await store.close()
