import asyncio

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from gateway.store.errors import SchemaUnknown
from gateway.store.migrate import HEAD, MIGRATIONS, current, upgrade
from gateway.store.store import Store
from gateway.store.tables import METADATA


def test_the_newest_revision_is_known() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == HEAD


async def test_the_migrations_lead_to_the_tables(store: Store) -> None:
    def differences(connection: sa.Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
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
