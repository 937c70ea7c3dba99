import asyncio
import mmap
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway._core import Segment
from gateway.identity.deny_list import DenyList
from gateway.identity.revocation import Revoker
from gateway.state.interface import Revocation
from gateway.state.local import LocalState
from gateway.store.store import Store

LIFE_S = 930


class Clock:
    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def segment() -> Segment:
    return Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(f"sqlite:///{tmp_path}/g.db") as opened:
        yield opened


def is_revoked(segment: Segment, session: str) -> bool:
    return segment.is_revoked("session", session, int(time.time()))


async def begin(store: Store, *names: str) -> None:
    now = datetime.now(UTC)
    user = await store.users.create("ann@example.org", "x", [], now)
    for name in names:
        await store.sessions.create(name, user.id, now=now, expires=now + timedelta(days=30))


async def test_here_at_once_and_to_all_others(segment: Segment) -> None:
    state = LocalState()
    revoker = Revoker(segment, state, lambda: LIFE_S)
    await revoker.sessions(["a", "b"])
    assert is_revoked(segment, "a")
    assert is_revoked(segment, "b")
    assert not is_revoked(segment, "c")
    told = await anext(state.revocations())
    assert (told.kind, told.name) == ("session", "a")


async def test_what_other_hosts_revoke(segment: Segment) -> None:
    state = LocalState()
    revoker = Revoker(segment, state, lambda: LIFE_S)
    following = asyncio.create_task(revoker.follow_state())
    now_s = int(time.time())
    await state.revoke(Revocation("session", "old", now_s, now_s - 1))  # nothing of it lives
    await state.revoke(Revocation("session", "a", now_s + 900, now_s + 900))
    await asyncio.sleep(0.05)
    assert is_revoked(segment, "a")
    assert not is_revoked(segment, "old")
    following.cancel()


async def test_a_new_segment_learns_what_the_store_has_ended(
    segment: Segment, store: Store
) -> None:
    clock = Clock()
    revoker = Revoker(segment, LocalState(), lambda: LIFE_S, clock)
    await begin(store, "ended long ago", "ended", "runs")
    now = datetime.now(UTC)
    await store.sessions.revoke("ended long ago", now - timedelta(seconds=LIFE_S + 1))
    await store.sessions.revoke("ended", now)
    version = (await store.changes.current()).sessions
    await revoker.follow_store(store, version)
    assert is_revoked(segment, "ended")
    assert not is_revoked(segment, "runs")
    # Its tokens have all expired; the segment has better things to remember.
    assert not is_revoked(segment, "ended long ago")


async def test_what_other_processes_end_in_the_store(segment: Segment, store: Store) -> None:
    revoker = Revoker(segment, LocalState(), lambda: LIFE_S)
    await begin(store, "a", "b")
    await revoker.follow_store(store, (await store.changes.current()).sessions)
    for name in ("a", "b"):
        assert not is_revoked(segment, name)
        await store.sessions.revoke(name, datetime.now(UTC))
        await revoker.follow_store(store, (await store.changes.current()).sessions)
        assert is_revoked(segment, name)


async def test_what_was_known_holds_after_a_start(segment: Segment, tmp_path: Path) -> None:
    path = tmp_path / "revoked"
    before = Revoker(segment, LocalState(), lambda: LIFE_S, deny_list=DenyList(path))
    await before.sessions(["a"])
    fresh = Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True)
    after = Revoker(fresh, LocalState(), lambda: LIFE_S, deny_list=DenyList(path))
    assert is_revoked(fresh, "a")
    assert not is_revoked(fresh, "b")
    assert not after.has_followed_store
