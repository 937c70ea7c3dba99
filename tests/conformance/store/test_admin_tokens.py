import asyncio
from datetime import timedelta

from gateway.store.store import Store
from tests.conformance.store.conftest import NOW

HOUR = timedelta(hours=1)


async def test_a_token_is_found_by_its_digest(store: Store) -> None:
    made = await store.admin_tokens.create(
        "t", b"digest", name="ci", role="viewer", now=NOW, expires=NOW + HOUR
    )
    assert await store.admin_tokens.by_digest(b"digest") == made
    assert await store.admin_tokens.by_digest(b"other") is None
    assert made.is_valid(NOW)
    assert not made.is_valid(NOW + HOUR)


async def test_a_revoked_token_stays_revoked(store: Store) -> None:
    await store.admin_tokens.create("t", b"d", name="ci", role="viewer", now=NOW)
    assert await store.admin_tokens.revoke("t", NOW)
    assert not await store.admin_tokens.revoke("t", NOW)
    token = await store.admin_tokens.by_digest(b"d")
    assert token is not None
    assert not token.is_valid(NOW)


async def test_the_first_token_is_made_once(store: Store) -> None:
    made = await asyncio.gather(
        *(
            store.admin_tokens.create_first(
                f"t{number}", b"%d" % number, name="first", role="admin", now=NOW
            )
            for number in range(5)
        )
    )
    assert sum(token is not None for token in made) == 1
    assert len(await store.admin_tokens.list()) == 1


async def test_tokens_are_listed_page_by_page(store: Store) -> None:
    for name in "bca":
        await store.admin_tokens.create(name, name.encode(), name=name, role="admin", now=NOW)
    assert [token.id for token in await store.admin_tokens.list(limit=2)] == ["a", "b"]
    assert [token.id for token in await store.admin_tokens.list(after="b")] == ["c"]
