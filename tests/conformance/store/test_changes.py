import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.store.changes import StoreVersion
from gateway.store.store import Store
from tests.conformance.store.conftest import NOW


@pytest.fixture
async def watching(store: Store) -> AsyncIterator[AsyncIterator[StoreVersion]]:
    versions = store.changes.watch()
    yield versions
    await versions.aclose()  # type: ignore[attr-defined]


async def test_a_change_elsewhere_is_seen_within_a_second(
    store: Store, store_url: str, watching: AsyncIterator[StoreVersion]
) -> None:
    assert (await anext(watching)).version == 1
    await asyncio.sleep(0.3)  # until PostgreSQL's listener has connected
    async with Store.open(store_url) as elsewhere, asyncio.timeout(1):
        await elsewhere.routes.add("a", {"path": "/", "service": "web"}, NOW)
        assert await anext(watching) == StoreVersion(2, 2, 0, 0, 0, 0)


async def test_changes_while_nobody_looks_are_one(
    store: Store, watching: AsyncIterator[StoreVersion]
) -> None:
    await anext(watching)
    for name in "abc":
        await store.users.create(f"{name}@x.org", "h", [], NOW)
    async with asyncio.timeout(5):
        assert (await anext(watching)).version == 4


async def test_versions_grow_with_each_of_many_writers(store: Store) -> None:
    routes = [
        store.routes.add(f"r{number}", {"path": f"/{number}", "service": "web"}, NOW)
        for number in range(12)
    ]
    await asyncio.gather(*routes)
    assert (await store.changes.current()).version == 13
