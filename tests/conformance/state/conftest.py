"""One state on each backend: what holds for one holds for the others."""

import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest

from gateway.config.state import state_target
from gateway.state.connect import connect_redis
from gateway.state.interface import State
from gateway.state.local import LocalState
from tests.servers.redis import RedisServer
from tests.servers.redis_modes import Sentinel, start_cluster

TIMEOUT_S = 2.0
"""Generous: the machine may be busy with other work."""


@pytest.fixture(scope="module")
def state_urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Backend → where it is."""
    directory = tmp_path_factory.mktemp("redis")
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(contextlib.closing(RedisServer(directory)))
        cluster = stack.enter_context(contextlib.closing(start_cluster(directory)))
        sentinel = stack.enter_context(contextlib.closing(Sentinel(directory, redis)))
        yield {
            "redis": f"redis://127.0.0.1:{redis.port}/1",
            "sentinel": f"redis+sentinel://127.0.0.1:{sentinel.port}/primary/2",
            "cluster": f"redis+cluster://127.0.0.1:{cluster.port}",
        }


@pytest.fixture(params=["local", "redis", "sentinel", "cluster"])
async def state(request: pytest.FixtureRequest, state_urls: dict[str, str]) -> AsyncIterator[State]:
    opened: State
    if request.param == "local":
        opened = LocalState()
    else:
        opened = connect_redis(state_target(state_urls[request.param]), TIMEOUT_S)
    yield opened
    await opened.close()
