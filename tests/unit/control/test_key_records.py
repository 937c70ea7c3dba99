from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.control.key_records import KeyRecords
from gateway.identity.keys import NewKey, new_key
from gateway.state.interface import StateUnavailable
from gateway.state.local import LocalState
from gateway.store.errors import StoreUnavailable
from gateway.store.store import Store


class House:
    def __init__(self, store: Store, owner: str) -> None:
        self.store, self.owner = store, owner
        self.away = False
        self.asked = 0
        self.state = LocalState()
        self.records = KeyRecords(self.get_store, self.state)

    def get_store(self) -> Store:
        self.asked += 1
        if self.away:
            raise StoreUnavailable("away")
        return self.store

    async def add(self, **options: object) -> NewKey:
        key = new_key()
        defaults: dict[str, object] = {"scopes": ["read", "write"]}
        await self.store.api_keys.create(
            key.id, key.digest, self.owner, now=datetime.now(UTC),
            **(defaults | options),  # type: ignore[arg-type]
        )  # fmt: skip
        return key


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with Store.open(f"sqlite:///{tmp_path}/g.db") as store:
        ann = await store.users.create("ann@example.org", "x", ["read"], datetime.now(UTC))
        yield House(store, ann.id)


async def test_a_key_has_the_scopes_that_its_owner_has_too(house: House) -> None:
    key = await house.add(rate_limit_policy="gold")
    record = await house.records.find(key.id)
    assert record is not None
    assert record.digests == [(key.digest, None)]
    assert (record.user, record.state) == (house.owner, "active")
    assert record.scopes == {"read"}
    assert record.rate_limit_policy == "gold"
    assert await house.records.find("nobody") is None


async def test_a_client_bounds_its_keys_and_lends_them_its_policy(house: House) -> None:
    now = datetime.now(UTC)
    await house.store.policies.add("gold", {"rate": "5/min"}, now)
    shop = await house.store.clients.create(
        "shop", "h", now=now, scopes=["write"], rate_limit_policy="gold"
    )
    await house.store.users.change(house.owner, now, scopes=["read", "write"])
    key = await house.add(client_id=shop.id)
    own = await house.add(client_id=shop.id, rate_limit_policy="silver")
    record = await house.records.find(key.id)
    assert record is not None
    assert (record.client, record.scopes) == (shop.id, frozenset({"write"}))
    assert record.rate_limit_policy == "gold"
    other = await house.records.find(own.id)
    assert other is not None
    assert other.rate_limit_policy == "silver"
    await house.store.clients.change(shop.id, now, active=False)
    record = await house.records.find(key.id)
    assert record is not None
    assert record.state == "revoked"


async def test_states(house: House) -> None:
    now = datetime.now(UTC)
    expired = await house.add(expires=now - timedelta(seconds=1))
    revoked = await house.add()
    await house.store.api_keys.revoke(revoked.id, now)
    found = [await house.records.find(key.id) for key in (expired, revoked)]
    assert [record.state for record in found if record] == ["expired", "revoked"]
    other = await house.add()
    await house.store.users.change(house.owner, now, disabled=True)
    record = await house.records.find(other.id)
    assert record is not None
    assert record.state == "revoked"


async def test_a_rotated_key_has_two_digests_for_a_while(house: House) -> None:
    key, newer = await house.add(), new_key()
    now = datetime.now(UTC)
    until = now + timedelta(hours=1)
    await house.store.api_keys.rotate(key.id, newer.digest, now=now, overlap_until=until)
    record = await house.records.find(key.id)
    assert record is not None
    assert record.digests == [(newer.digest, None), (key.digest, int(until.timestamp()))]


async def test_the_cache_spares_the_store_until_something_changes(house: House) -> None:
    key = await house.add()
    house.records.version = 7
    first = await house.records.find(key.id)
    asked = house.asked
    assert await house.records.find(key.id) == first
    assert house.asked == asked
    await house.store.api_keys.revoke(key.id, datetime.now(UTC))
    house.records.version = 8
    record = await house.records.find(key.id)
    assert record is not None
    assert record.state == "revoked"


async def test_before_the_version_is_known_nothing_is_cached(house: House) -> None:
    key = await house.add()
    await house.records.find(key.id)
    house.away = True
    with pytest.raises(StoreUnavailable):
        await house.records.find(key.id)


async def test_without_a_state_the_store_is_asked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise StateUnavailable("away")

    house.records.version = 7
    monkeypatch.setattr(house.state, "get", away)
    monkeypatch.setattr(house.state, "put", away)
    key = await house.add()
    assert await house.records.find(key.id) is not None


async def test_uses_are_written_in_batches_and_wait_for_the_store(house: House) -> None:
    key = await house.add()
    today = datetime.now(UTC).date()
    house.records.used([[key.id, "/a", 2], [key.id, "/b", 1]])
    house.records.used([[key.id, "/a", 3], ["gone", "/a", 1]])
    house.away = True
    await house.records.flush()
    house.away = False
    house.records.used([[key.id, "/a", 1]])
    await house.records.flush()
    usage = await house.store.api_keys.usage(key.id, today)
    assert [(route, uses) for _, route, uses in usage] == [("/a", 6), ("/b", 1)]
    stored = await house.store.api_keys.by_id(key.id)
    assert stored is not None
    assert stored.last_used_at is not None
