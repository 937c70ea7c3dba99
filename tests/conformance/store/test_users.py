import asyncio
from contextvars import Context
from datetime import datetime, timedelta, timezone

import pytest

from gateway.store.errors import Conflict, NotFound, Superseded
from gateway.store.store import Store
from tests.conformance.store.conftest import NOW


async def test_a_user_is_found_by_id_and_by_address_in_any_case(store: Store) -> None:
    made = await store.users.create(" Ann@Example.org ", "hash", ["write", "read", "read"], NOW)
    assert made.email == "ann@example.org"
    assert made.scopes == ("read", "write")
    assert made.created_at == NOW
    assert await store.users.by_id(made.id) == made
    assert await store.users.by_email("ANN@EXAMPLE.ORG") == made
    assert await store.users.by_email("bob@example.org") is None
    assert await store.users.by_email("' OR 1=1 --") is None
    assert await store.users.by_id("no such id") is None


async def test_an_address_is_taken_once(store: Store, ann: str) -> None:
    with pytest.raises(Conflict):
        await store.users.create("ANN@example.org", "other", [], NOW)


async def test_of_two_who_take_an_address_at_once_one_gets_it(store: Store) -> None:
    tries = [store.users.create("ann@example.org", "h", [], NOW) for _ in range(5)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(result, Conflict) for result in results) == 4


@pytest.mark.parametrize("hostile", ["'; DROP TABLE users; --", "\\", "%_", "{$gt: ''}", "ß☃𝔘"])
async def test_text_is_kept_as_it_is(store: Store, hostile: str) -> None:
    made = await store.users.create("ann@example.org", hostile, [hostile], NOW)
    read = await store.users.by_id(made.id)
    assert read is not None
    assert (read.password_hash, read.scopes) == (hostile, (hostile,))


async def test_times_come_back_in_utc(store: Store) -> None:
    east = timezone(timedelta(hours=5))
    ann = await store.users.create("ann@example.org", "h", [], NOW.astimezone(east))
    user = await store.users.by_id(ann.id)
    assert user is not None
    assert user.created_at == NOW
    assert user.created_at.utcoffset() == timedelta(0)
    with pytest.raises(Exception, match="time zone"):
        await store.users.change(ann.id, datetime(2026, 1, 1), disabled=True)


async def test_users_are_listed_page_by_page(store: Store) -> None:
    for name in "cab":
        await store.users.create(f"{name}@x.org", "h", [], NOW)
    first = await store.users.list(limit=2)
    assert [user.email for user in first] == ["a@x.org", "b@x.org"]
    assert [user.email for user in await store.users.list(after="b@x.org")] == ["c@x.org"]


async def test_a_change_raises_the_version(store: Store, ann: str) -> None:
    later = NOW + timedelta(seconds=1)
    assert (await store.users.change(ann, later, disabled=True)).disabled
    changed = await store.users.change(ann, later, password_hash="new")
    assert (changed.password_hash, changed.version, changed.updated_at) == ("new", 3, later)
    assert (await store.users.change(ann, later, scopes=[])).scopes == ()


async def test_a_change_of_an_older_version_is_refused(store: Store, ann: str) -> None:
    await store.users.change(ann, NOW, expected=1, disabled=True)
    before = await store.changes.current()
    with pytest.raises(Superseded) as refused:
        await store.users.change(ann, NOW, expected=1, disabled=False)
    assert refused.value.current == 2
    with pytest.raises(Superseded):
        await store.users.delete(ann, expected=1)
    assert await store.changes.current() == before


async def test_what_does_not_exist_cannot_be_changed(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.users.change("nobody", NOW, disabled=True)
    with pytest.raises(NotFound):
        await store.users.delete("nobody")


async def test_deleting_takes_keys_along(store: Store, ann: str) -> None:
    await store.api_keys.create("k", b"d", ann, now=NOW)
    await store.users.delete(ann)
    assert await store.users.by_id(ann) is None
    assert await store.api_keys.by_id("k") is None


async def test_a_recovery_code_works_once(store: Store, ann: str) -> None:
    user = await store.users.set_mfa(ann, "SECRET", ["one", "two", "two"], NOW)
    assert user.mfa_secret == "SECRET"
    assert await store.users.recovery_codes_left(ann) == 2
    assert not await store.users.use_recovery_code(ann, "three")
    uses = [store.users.use_recovery_code(ann, "one") for _ in range(4)]
    assert sorted(await asyncio.gather(*uses)) == [False, False, False, True]
    assert await store.users.recovery_codes_left(ann) == 1
    await store.users.set_mfa(ann, None, [], NOW)
    assert await store.users.recovery_codes_left(ann) == 0


async def test_a_totp_step_is_accepted_once(store: Store, ann: str) -> None:
    steps = [store.users.accept_totp_step(ann, 7) for _ in range(4)]
    assert sorted(await asyncio.gather(*steps)) == [False, False, False, True]
    assert not await store.users.accept_totp_step(ann, 6)
    assert await store.users.accept_totp_step(ann, 8)


async def test_a_user_who_is_held_stays_as_he_is(store: Store, ann: str) -> None:
    """A change waits for the transaction that has looked at him."""
    order: list[str] = []

    async def change() -> None:
        await store.users.change(ann, NOW, disabled=True)
        order.append("changed")

    async with store.transaction():
        held = await store.users.hold(ann)
        assert held is not None
        assert not held.disabled
        # Not a part of this transaction, though it begins inside.
        waiting = asyncio.get_running_loop().create_task(change(), context=Context())
        await asyncio.sleep(0.2)
        order.append("done")
    await waiting
    assert order == ["done", "changed"]


async def test_a_rehash_is_no_change(store: Store, ann: str) -> None:
    user = await store.users.by_id(ann)
    assert user is not None
    before = await store.changes.current()
    fresh = await store.users.rehash(user, "dearer")
    assert (fresh.password_hash, fresh.version) == ("dearer", user.version)
    assert await store.users.by_id(ann) == fresh
    assert await store.changes.current() == before
    assert await store.users.rehash(user, "too late") == user, "it is another already"
    assert await store.users.by_id(ann) == fresh
