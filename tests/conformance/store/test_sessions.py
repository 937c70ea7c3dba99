from datetime import timedelta

import pytest

from gateway.store.errors import Conflict
from gateway.store.sessions import RevokedSession
from gateway.store.store import Store
from tests.conformance.store.conftest import NOW

HOUR = timedelta(hours=1)


async def test_a_session_is_kept(store: Store, ann: str) -> None:
    made = await store.sessions.create(
        "s", ann, now=NOW, expires=NOW + HOUR, client="app", scopes=["b", "a"], fingerprint_hash="f"
    )
    assert (made.client, made.scopes, made.fingerprint_hash) == ("app", ("a", "b"), "f")
    assert await store.sessions.by_id("s") == made
    assert not await store.sessions.is_revoked("s")
    assert await store.sessions.is_revoked("no such session")


async def test_a_session_needs_a_user_and_an_id_of_its_own(store: Store, ann: str) -> None:
    await store.sessions.create("s", ann, now=NOW, expires=NOW + HOUR)
    with pytest.raises(Conflict):
        await store.sessions.create("s", ann, now=NOW, expires=NOW + HOUR)
    with pytest.raises(Conflict):
        await store.sessions.create("t", "nobody", now=NOW, expires=NOW + HOUR)


async def test_revoking(store: Store, ann: str) -> None:
    for name in "ab":
        await store.sessions.create(name, ann, now=NOW, expires=NOW + HOUR)
    assert await store.sessions.revoke("a", NOW)
    assert not await store.sessions.revoke("a", NOW)
    assert not await store.sessions.revoke("z", NOW)
    assert await store.sessions.is_revoked("a")
    assert await store.sessions.revoke_all_of_user(ann, NOW) == ["b"]


async def test_revocations_are_read_from_a_version_on(store: Store, ann: str) -> None:
    for name, life in (("a", HOUR), ("b", HOUR), ("c", HOUR / 60)):
        await store.sessions.create(name, ann, now=NOW, expires=NOW + life)
    await store.sessions.revoke("a", NOW)
    first = (await store.changes.current()).sessions
    await store.sessions.revoke_all_of_user(ann, NOW)
    second = (await store.changes.current()).sessions
    later = NOW + HOUR / 2
    assert await store.sessions.revoked_since(0, later) == [
        RevokedSession("a", NOW + HOUR, first),
        RevokedSession("b", NOW + HOUR, second),
    ]
    assert [s.id for s in await store.sessions.revoked_since(first, NOW)] == ["b", "c"]
    assert not await store.sessions.revoked_since(second, NOW)


async def test_sessions_outlive_their_user(store: Store, ann: str) -> None:
    await store.sessions.create("s", ann, now=NOW, expires=NOW + HOUR)
    await store.sessions.revoke_all_of_user(ann, NOW)
    await store.users.delete(ann)
    assert [session.id for session in await store.sessions.revoked_since(0, NOW)] == ["s"]


async def test_listing_and_purging(store: Store, ann: str) -> None:
    bob = (await store.users.create("bob@example.org", "h", [], NOW)).id
    await store.sessions.create("a", ann, now=NOW, expires=NOW + HOUR)
    await store.sessions.create("b", bob, now=NOW, expires=NOW + HOUR * 2)
    await store.refresh_tokens.add(b"t", "a", now=NOW, expires=NOW + HOUR)
    assert [s.id for s in await store.sessions.list()] == ["a", "b"]
    assert [s.id for s in await store.sessions.list(user_id=bob)] == ["b"]
    assert [s.id for s in await store.sessions.list(after="a", limit=1)] == ["b"]
    assert await store.sessions.purge_expired(NOW + HOUR) == 1
    assert [s.id for s in await store.sessions.list()] == ["b"]
