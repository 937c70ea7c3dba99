from datetime import date, datetime, timedelta

import pytest

from gateway.store.api_keys import ApiKey, KeyUse
from gateway.store.errors import Conflict, NotFound
from gateway.store.store import Store
from tests.conformance.store.conftest import NOW

HOUR = timedelta(hours=1)
TODAY = date(2026, 1, 2)


def digests(key: ApiKey, at: datetime) -> list[bytes]:
    return [v.digest for v in key.versions if v.valid_until is None or v.valid_until > at]


async def test_a_key_comes_with_its_owners_state(store: Store, ann: str) -> None:
    made = await store.api_keys.create(
        "k", b"one", ann, now=NOW, name="ci", scopes=["read"], expires=NOW + HOUR,
        rate_limit_policy="slow",
    )  # fmt: skip
    assert (made.owner_email, made.owner_scopes, made.owner_disabled) == (
        "ann@example.org", ("read",), False,
    )  # fmt: skip
    assert (made.name, made.scopes, made.rate_limit_policy) == ("ci", ("read",), "slow")
    assert await store.api_keys.by_id("k") == made
    assert await store.api_keys.by_id("' OR 1=1") is None
    assert digests(made, NOW) == [b"one"]
    assert made.client_name is None
    assert not made.ended
    await store.users.change(ann, NOW, disabled=True)
    disabled = await store.api_keys.by_id("k")
    assert disabled is not None
    assert disabled.ended


async def test_a_key_may_belong_to_a_client(store: Store, ann: str) -> None:
    await store.policies.add("gold", {"rate": "5/min"}, NOW)
    shop = await store.clients.create(
        "shop", "h", now=NOW, scopes=["read"], rate_limit_policy="gold"
    )
    made = await store.api_keys.create("k", b"one", ann, now=NOW, client_id=shop.id)
    await store.api_keys.create("l", b"two", ann, now=NOW)
    assert (made.client_id, made.client_name) == (shop.id, "shop")
    assert (made.client_scopes, made.client_policy) == (("read",), "gold")
    assert not made.ended
    await store.clients.change(shop.id, NOW, active=False)
    found = await store.api_keys.by_id("k")
    assert found is not None
    assert found.ended
    await store.clients.delete(shop.id)
    assert [key.id for key in await store.api_keys.list()] == ["l"]
    with pytest.raises(Conflict):
        await store.api_keys.create("m", b"3", ann, now=NOW, client_id=shop.id)


async def test_ids_digests_and_owners_are_checked(store: Store, ann: str) -> None:
    await store.api_keys.create("k", b"one", ann, now=NOW)
    for key_id, digest, owner in (("k", b"2", ann), ("l", b"one", ann), ("l", b"2", "nobody")):
        with pytest.raises(Conflict):
            await store.api_keys.create(key_id, digest, owner, now=NOW)
    assert await store.api_keys.by_id("l") is None


async def test_rotation_overlaps(store: Store, ann: str) -> None:
    await store.api_keys.create("k", b"one", ann, now=NOW)
    await store.api_keys.rotate("k", b"two", now=NOW, overlap_until=NOW + HOUR)
    key = await store.api_keys.rotate("k", b"three", now=NOW, overlap_until=NOW + 2 * HOUR)
    assert key.version == 3
    assert digests(key, NOW) == [b"three", b"two", b"one"]
    assert digests(key, NOW + HOUR) == [b"three", b"two"]
    assert digests(key, NOW + 2 * HOUR) == [b"three"]


async def test_a_revoked_key_stays_revoked(store: Store, ann: str) -> None:
    await store.api_keys.create("k", b"one", ann, now=NOW)
    assert await store.api_keys.revoke("k", NOW)
    assert not await store.api_keys.revoke("k", NOW)
    key = await store.api_keys.by_id("k")
    assert key is not None
    assert key.ended
    for missing in ("k", "l"):
        with pytest.raises(NotFound):
            await store.api_keys.rotate(missing, b"two", now=NOW, overlap_until=NOW)


async def test_keys_are_listed_page_by_page(store: Store, ann: str) -> None:
    bob = (await store.users.create("bob@example.org", "h", [], NOW)).id
    for name, owner in (("a", ann), ("b", bob), ("c", ann)):
        await store.api_keys.create(name, name.encode(), owner, now=NOW)
    assert [key.id for key in await store.api_keys.list(limit=2)] == ["a", "b"]
    assert [key.id for key in await store.api_keys.list(after="b")] == ["c"]
    assert [key.id for key in await store.api_keys.list(owner_id=ann)] == ["a", "c"]


async def test_uses_add_up_per_day_and_route(store: Store, ann: str) -> None:
    for name in "ab":
        await store.api_keys.create(name, name.encode(), ann, now=NOW)
    await store.api_keys.add_usage(
        [
            KeyUse("b", TODAY, "/x", 1, NOW),
            KeyUse("a", TODAY, "/x", 2, NOW + HOUR),
            KeyUse("a", TODAY, "/x", 3, NOW),
            KeyUse("a", TODAY, "/" + "y" * 400, 1, NOW),
            KeyUse("gone", TODAY, "/x", 9, NOW),
        ]
    )
    await store.api_keys.add_usage([KeyUse("a", TODAY, "/x", 10, NOW)])
    await store.api_keys.add_usage([])
    await store.api_keys.add_usage([KeyUse("gone", TODAY, "/x", 9, NOW)])
    assert await store.api_keys.usage("a", TODAY) == [
        (TODAY, "/x", 15),
        (TODAY, "/" + "y" * 254, 1),
    ]
    assert await store.api_keys.usage("a", TODAY + timedelta(days=1)) == []
    key = await store.api_keys.by_id("a")
    assert key is not None
    assert key.last_used_at == NOW + HOUR
