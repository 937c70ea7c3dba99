import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.identity.own_keys import OwnKeys, Rotation
from gateway.identity.public_keys import KeptKeys
from gateway.store.errors import StoreUnavailable
from gateway.store.store import Store

START = 1_800_000_000.0
RULES = Rotation("ES256", every_s=86_400, publish_before_s=600, keep_s=930)


class Clock:
    now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(f"sqlite:///{tmp_path}/g.db") as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_the_first_start_makes_a_key_and_the_second_finds_it(
    store: Store, clock: Clock
) -> None:
    first, second = OwnKeys(lambda: store, clock), OwnKeys(lambda: store, clock)
    await first.load(RULES)
    await second.load(RULES)
    kid = first.active(int(START)).kid
    assert second.active(int(START)).kid == kid
    assert [jwk["kid"] for jwk in first.jwks()] == [kid]


async def test_rotation_overlaps(store: Store, clock: Clock) -> None:
    keys = OwnKeys(lambda: store, clock)
    await keys.load(RULES)
    old = keys.active(int(START)).kid
    clock.now = START + 86_400
    await keys.load(RULES)
    new = keys.jwks()[0]["kid"]
    assert [jwk["kid"] for jwk in keys.jwks()] == [new, old]
    assert keys.active(int(clock.now)).kid == old  # the new one is only published yet
    clock.now += 600
    assert keys.active(int(clock.now)).kid == new
    clock.now += 929
    assert old in [jwk["kid"] for jwk in keys.jwks()]
    clock.now += 1
    assert [jwk["kid"] for jwk in keys.jwks()] == [new]


async def test_loading_again_rotates_no_more(store: Store, clock: Clock) -> None:
    keys = OwnKeys(lambda: store, clock)
    await keys.load(RULES)
    clock.now += 86_400
    for _ in range(3):
        await keys.load(RULES)
    assert len(keys.jwks()) == 2


async def test_a_key_that_is_known_is_not_parsed_again(store: Store, clock: Clock) -> None:
    """It takes longer than all else that a reload does."""
    keys = OwnKeys(lambda: store, clock)
    await keys.load(RULES)
    before = keys.active(int(START))
    await keys.load(RULES)
    assert keys.active(int(START)) is before
    clock.now += 86_400
    await keys.load(RULES)
    await keys.load(RULES)
    kids = [key.kid for key in keys.ring.keys]
    assert len(kids) == 2
    old = next(key for key in keys.ring.keys if key.kid == before.kid)
    assert old.retire_s is not None, "the same key, with an end"


async def test_another_algorithm_brings_another_key(store: Store, clock: Clock) -> None:
    keys = OwnKeys(lambda: store, clock)
    await keys.load(RULES)
    await keys.load(Rotation("EdDSA", 0, 600, 930))
    assert [jwk["alg"] for jwk in keys.jwks()] == ["EdDSA", "ES256"]
    clock.now += 1_000_000
    await keys.load(Rotation("EdDSA", 0, 600, 930))  # 0: never by age
    assert [jwk["alg"] for jwk in keys.jwks()] == ["EdDSA"]


async def test_an_outage_of_the_store_leaves_the_ring_as_it_is(store: Store, clock: Clock) -> None:
    away = False

    def get() -> Store:
        if away:
            raise StoreUnavailable("away")
        return store

    keys = OwnKeys(get, clock)
    await keys.load(RULES)
    away = True
    with pytest.raises(StoreUnavailable):
        await keys.load(RULES)
    assert keys.active(int(time.time() + START)).algorithm == "ES256"


async def test_a_start_without_the_store_knows_the_public_keys(
    store: Store, clock: Clock, tmp_path: Path
) -> None:
    def away() -> Store:
        raise StoreUnavailable("away")

    first = OwnKeys(lambda: store, clock, KeptKeys(tmp_path, "url"))
    await first.load(RULES)
    clock.now += 86_400
    await first.load(RULES)
    second = OwnKeys(away, clock, KeptKeys(tmp_path, "url"))
    assert second.jwks() == first.jwks()
    with pytest.raises(StoreUnavailable):
        await second.load(RULES)
    with pytest.raises(LookupError):
        second.active(int(clock.now))
    assert len(second.jwks()) == 2
    clock.now += 600 + 930  # the older one is retired, whether or not anybody can be asked
    assert len(second.jwks()) == 1
