import pytest

from gateway.store.errors import Conflict, NotFound, Superseded
from gateway.store.store import Store
from tests.conformance.store.conftest import NOW

NOBODY = "00000000-0000-0000-0000-000000000000"


async def test_a_client_is_kept(store: Store) -> None:
    await store.policies.add("slow", {"rate": "1/s"}, NOW)
    made = await store.clients.create(
        "app", "hash", now=NOW, scopes=["read"], rate_limit_policy="slow"
    )
    assert (made.name, made.scopes, made.rate_limit_policy, made.active) == (
        "app", ("read",), "slow", True,
    )  # fmt: skip
    assert await store.clients.by_id(made.id) == made
    assert await store.clients.by_name("app") == made
    assert await store.clients.list() == [made]
    assert await store.clients.list(after="app") == []
    await store.policies.delete("slow")
    read = await store.clients.by_id(made.id)
    assert read is not None
    assert read.rate_limit_policy is None


async def test_names_are_unique_and_policies_exist(store: Store) -> None:
    await store.clients.create("app", "hash", now=NOW)
    with pytest.raises(Conflict):
        await store.clients.create("app", "hash", now=NOW)
    with pytest.raises(NotFound, match="policy 'slow'"):
        await store.clients.create("other", "hash", now=NOW, rate_limit_policy="slow")


async def test_changes_are_checked_against_the_version(store: Store) -> None:
    made = await store.clients.create("app", "hash", now=NOW)
    changed = await store.clients.change(
        made.id, NOW, expected=1, scopes=("x",), name="new", rate_limit_policy=None
    )
    assert (changed.scopes, changed.name, changed.version) == (("x",), "new", 2)
    with pytest.raises(Superseded):
        await store.clients.change(made.id, NOW, expected=1, active=False)
    assert not (await store.clients.change(made.id, NOW, active=False)).active
    with pytest.raises(Superseded):
        await store.clients.delete(made.id, expected=1)
    await store.clients.delete(made.id, expected=3)
    assert await store.clients.by_id(made.id) is None


@pytest.mark.parametrize("missing", [NOBODY, "not a uuid", "' OR 1=1"])
async def test_what_does_not_exist(store: Store, missing: str) -> None:
    assert await store.clients.by_id(missing) is None
    with pytest.raises(NotFound):
        await store.clients.change(missing, NOW, active=True)
    with pytest.raises(NotFound):
        await store.clients.delete(missing)
