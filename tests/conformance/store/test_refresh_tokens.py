import asyncio
from datetime import timedelta

import pytest

from gateway.store.refresh_tokens import Expired, Reused, Rotated, Rotation, Unknown
from gateway.store.store import Store
from tests.conformance.store.conftest import NOW

LATER = NOW + timedelta(days=7)


@pytest.fixture
async def session(store: Store, ann: str) -> str:
    await store.sessions.create("s", ann, now=NOW, expires=LATER, scopes=["read"])
    await store.refresh_tokens.add(b"first", "s", now=NOW, expires=LATER)
    return "s"


async def rotate(store: Store, old: bytes, new: bytes, **times: object) -> Rotation:
    arguments = {"now": NOW, "expires": LATER} | times
    return await store.refresh_tokens.rotate(old, new, **arguments)  # type: ignore[arg-type]


async def test_a_token_stands_for_its_session_once(store: Store, session: str) -> None:
    result = await rotate(store, b"first", b"second")
    assert isinstance(result, Rotated)
    assert (result.session.id, result.session.scopes) == ("s", ("read",))
    assert isinstance(await rotate(store, b"second", b"third"), Rotated)


async def test_reuse_revokes_the_whole_family(store: Store, session: str) -> None:
    await rotate(store, b"first", b"second")
    result = await rotate(store, b"first", b"stolen")
    assert isinstance(result, Reused)
    assert result.session.revoked_at == NOW
    assert result.ended
    assert isinstance(await rotate(store, b"second", b"third"), Expired)
    assert isinstance(await rotate(store, b"stolen", b"x"), Unknown)
    again = await rotate(store, b"first", b"stolen")
    assert isinstance(again, Reused)
    assert not again.ended
    assert [s.id for s in await store.sessions.revoked_since(0, NOW)] == ["s"]


async def test_of_concurrent_rotations_exactly_one_wins(store: Store, session: str) -> None:
    tries = [rotate(store, b"first", b"new%d" % number) for number in range(6)]
    results = await asyncio.gather(*tries)
    assert sum(isinstance(result, Rotated) for result in results) == 1
    assert sum(isinstance(result, Reused) for result in results) == 5
    assert sum(isinstance(result, Reused) and result.ended for result in results) == 1


async def test_what_is_over_is_expired(store: Store, session: str) -> None:
    assert isinstance(await rotate(store, b"first", b"x", now=LATER), Expired)
    assert isinstance(await rotate(store, b"first", b"second"), Rotated)
    await store.sessions.revoke("s", NOW)
    assert isinstance(await rotate(store, b"second", b"x"), Expired)


async def test_what_nobody_issued_is_unknown(store: Store, session: str) -> None:
    assert await rotate(store, b"' OR 1=1", b"x") == Unknown()
