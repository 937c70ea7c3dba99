"""A Redis, and stores that are closed when their test is over."""

from collections.abc import AsyncIterator, Callable

import pytest

from gateway.limits.store import LimitStore
from tests.servers.redis import RedisServer
from tests.unit.limits.stores import new_store


@pytest.fixture
def redis(redis_server: Callable[..., RedisServer]) -> RedisServer:
    return redis_server()


@pytest.fixture
async def make_store(redis: RedisServer) -> AsyncIterator[Callable[..., LimitStore]]:
    made: list[LimitStore] = []

    def make(wait: str = "5s", url: str = redis.url) -> LimitStore:
        made.append(new_store(url, wait))
        return made[-1]

    yield make
    for store in made:
        await store.close()
