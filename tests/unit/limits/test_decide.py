"""gateway/limits/decide.lua: what it decides, in a real Redis."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis

from gateway.limits.store import LimitStore
from tests.servers.redis import RedisServer
from tests.unit.limits.stores import KEY, KINDS, ask, ask_all, bucket, sliding

if TYPE_CHECKING:
    from gateway.cext.lane import Question


@pytest.mark.parametrize("limit", [10, 1500])
@pytest.mark.parametrize("kind", KINDS)
async def test_two_stores_give_the_limit_and_no_more(
    make_store: Callable[..., LimitStore], kind: str, limit: int
) -> None:
    stores = make_store(), make_store()
    terms = KINDS[kind](limit, 3_600_000)
    asked = (ask(stores[call % 2], terms) for call in range(limit + 100))
    answers = await asyncio.gather(*asked)
    assert sum(answer.allowed for answer in answers) == limit
    last = await ask(stores[0], terms)
    assert last.remaining == 0
    assert 0 < last.retry_ms <= last.reset_ms <= 2 * 3_600_000


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_used_comes_back(make_store: Callable[..., LimitStore], kind: str) -> None:
    store = make_store()
    terms = KINDS[kind](2, 300)
    assert [(await ask(store, terms)).allowed for _ in range(3)] == [1, 1, 0]
    refused = await ask(store, terms)
    await asyncio.sleep(refused.retry_ms / 1000 + 0.01)
    assert (await ask(store, terms)).allowed == 1


async def test_a_refusal_takes_nothing_of_the_others(make_store: Callable[..., LimitStore]) -> None:
    store = make_store()
    questions: list[Question] = [
        ("rate_limit:user:a:wide", bucket(10), 1, 1),
        ("rate_limit:sliding:ip:192.0.2.1:narrow", sliding(1), 1, 1),
    ]
    for _ in range(5):
        answers = await ask_all(store, questions)
    assert answers is not None
    assert [answer.allowed for answer in answers] == [1, 0]
    assert answers[0].remaining == 9


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_given_back_may_be_had_again(
    make_store: Callable[..., LimitStore], kind: str
) -> None:
    store = make_store()
    limit = 5 if kind == "sliding" else 2000
    terms = KINDS[kind](limit, 3_600_000)
    assert (await ask(store, terms, limit)).remaining == 0
    back: Any = terms
    if kind == "sliding":
        # The first call of the first lane, the first question in it.
        back = (*terms[:3], f"{store._dispatchers[0].calls.nonce}:1:1")
    await ask(store, back, -3, mode=2)
    assert [(await ask(store, terms)).allowed for _ in range(4)] == [1, 1, 1, 0]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_debt_is_paid_by_later_requests(
    make_store: Callable[..., LimitStore], kind: str
) -> None:
    store = make_store()
    terms = KINDS[kind](10, 400)
    await ask(store, terms, 1_000_000, mode=2)
    refused = await ask(store, terms)
    assert (refused.allowed, refused.remaining) == (0, 0)
    assert refused.retry_ms <= 2 * 400, "as much again at most: who owes can come back"
    await asyncio.sleep(1.0)
    assert (await ask(store, terms)).allowed == 1


async def test_every_key_ends_by_itself(
    make_store: Callable[..., LimitStore], redis: RedisServer
) -> None:
    store = make_store()
    for number, kind in enumerate(KINDS.values()):
        await ask(store, kind(), key=f"{KEY}:{number}")
    async with Redis.from_url(redis.url) as client:
        keys = await client.keys("rate_limit:user:*")
        assert len(keys) == 3
        assert min([await client.pttl(key) for key in keys]) > 0


async def test_a_foreign_value_costs_nobody_his_answer(
    make_store: Callable[..., LimitStore], redis: RedisServer
) -> None:
    store = make_store()
    async with Redis.from_url(redis.url) as client:
        await client.set("rate_limit:sliding:odd", "text")
        await client.set("rate_limit:number", "text")
        await client.hset("rate_limit:hash", "a", "b")
    odd = {
        "rate_limit:sliding:odd": sliding(),
        "rate_limit:number": bucket(),
        "rate_limit:hash": bucket(),
    }
    answers = await asyncio.gather(
        *(ask(store, terms, key=key) for key, terms in odd.items()),
        *(ask(store, bucket(), key=f"rate_limit:user:{number}") for number in range(20)),
    )
    assert [answer.remaining for answer in answers] == [9] * 23
    assert not store.away


async def test_a_bucket_is_never_fuller_than_by_a_debt(
    make_store: Callable[..., LimitStore], redis: RedisServer
) -> None:
    """The clock of a node that takes over may be behind."""
    store = make_store()
    async with Redis.from_url(redis.url) as client:
        await client.set(KEY, str(2**52))
    refused = await ask(store, bucket(10, 1000))
    assert (refused.allowed, refused.reset_ms) == (0, 2000)
