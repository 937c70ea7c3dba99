import asyncio
import itertools
from datetime import timedelta

from gateway.store.signing_keys import NewSigningKey
from gateway.store.store import Store
from tests.conformance.store.conftest import NOW

HOUR = timedelta(hours=1)


def new(kid: str) -> NewSigningKey:
    return NewSigningKey(kid, "ES256", "-----BEGIN PRIVATE KEY-----", {"kty": "EC", "kid": kid})


async def test_a_key_is_kept_and_its_secret_not_shown(store: Store) -> None:
    assert await store.signing_keys.current(NOW) is None
    added = await store.signing_keys.add(new("a"), now=NOW)
    assert await store.signing_keys.current(NOW) == added
    assert added.public_jwk == {"kty": "EC", "kid": "a"}
    assert "PRIVATE" not in repr(added)


async def test_rotation_overlaps(store: Store) -> None:
    await store.signing_keys.add(new("a"), now=NOW)
    await store.signing_keys.rotate(
        new("b"), now=NOW, not_before=NOW + HOUR, overlap_until=NOW + 3 * HOUR
    )
    at = {hours: NOW + hours * HOUR for hours in range(4)}
    signing = [(await store.signing_keys.current(at[hours])) for hours in at]
    assert [key and key.kid for key in signing] == ["a", "b", "b", "b"]
    valid = [[key.kid for key in await store.signing_keys.all_valid(at[h])] for h in at]
    assert valid == [["b", "a"], ["b", "a"], ["b", "a"], ["b"]]


async def test_a_leaked_key_is_retired_at_once(store: Store) -> None:
    await store.signing_keys.add(new("a"), now=NOW)
    assert await store.signing_keys.retire("a", NOW)
    assert not await store.signing_keys.retire("a", NOW)
    assert await store.signing_keys.current(NOW) is None


async def test_the_first_key_is_made_once(store: Store) -> None:
    numbers = itertools.count()
    asked = [store.signing_keys.ensure(lambda: new(f"k{next(numbers)}"), NOW) for _ in range(5)]
    keys = await asyncio.gather(*asked)
    assert len({key.kid for key in keys}) == 1
    assert len(await store.signing_keys.all_valid(NOW)) == 1
    assert await store.signing_keys.ensure(lambda: new("unused"), NOW) == keys[0]
