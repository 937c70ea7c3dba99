import pytest

from gateway.store.errors import Conflict
from gateway.store.store import Store
from tests.conformance.store.conftest import NOW


async def test_entries_are_read_the_newest_first(store: Store) -> None:
    await store.audit.append("ann", "route.create", "a", now=NOW, after={"path": "/"})
    await store.audit.append("bob", "route.delete", "a", now=NOW, before={"path": "/"})
    newest, oldest = await store.audit.list()
    assert (newest.actor, newest.action, newest.before, newest.after) == (
        "bob", "route.delete", {"path": "/"}, None,
    )  # fmt: skip
    assert (oldest.actor, oldest.subject, oldest.at) == ("ann", "a", NOW)
    assert [entry.id for entry in await store.audit.list(before=newest.id, limit=1)] == [oldest.id]


async def audited_creation(store: Store, name: str) -> None:
    async with store.transaction():
        await store.audit.append("root", "user.create", name, now=NOW)
        await store.users.create(f"{name}@example.org", "h", [], NOW)


async def test_an_entry_goes_with_its_change(store: Store, ann: str) -> None:
    with pytest.raises(Conflict):
        await audited_creation(store, "ann")
    assert await store.audit.list() == []
    await audited_creation(store, "bob")
    assert len(await store.audit.list()) == 1
    assert await store.users.by_email("bob@example.org") is not None
