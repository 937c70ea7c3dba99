"""From the ``state`` section to a backend."""

import math
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gateway.config.state import StateTarget
from gateway.state.redis import BLOCK_MS, RedisState

__all__ = ["connect_redis"]

Close = Callable[[], Awaitable[Any]]

KEEPALIVE_S = 15
"""After so long without use a connection is tried first: a firewall may have dropped it."""


def connect_redis(target: StateTarget, timeout_s: float) -> RedisState:
    """The backend; nothing is connected yet."""
    reader_timeout_s = timeout_s + math.ceil(BLOCK_MS / 1000)
    client, close_client = _client(target, timeout_s)
    reader, close_reader = _client(target, reader_timeout_s)
    return RedisState(client, reader, timeout_s, [*close_client, *close_reader])


def _client(target: StateTarget, timeout_s: float) -> tuple[Any, list[Close]]:
    """A client, and what closes all of its connections."""
    # No retries inside the client: waits are bounded by us, and a stance says what comes then.
    options: dict[str, Any] = {
        "username": target.user,
        "password": target.password,
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "decode_responses": True,
        "health_check_interval": KEEPALIVE_S,
        "retry": Retry(NoBackoff(), 0),
    }
    if target.kind == "cluster":
        nodes = [ClusterNode(host, port, **options) for host, port in target.hosts]
        cluster = RedisCluster(startup_nodes=nodes, **options)
        # It forgets these nodes, with their connections, once it knows the cluster's own list.
        return cluster, [cluster.aclose, *(node.disconnect for node in nodes)]
    if target.kind == "sentinel":
        hosts = [(host, port) for host, port in target.hosts]
        sentinel: Any = Sentinel(  # type: ignore[no-untyped-call]
            hosts, sentinel_kwargs=options, db=target.database, **options
        )
        primary = sentinel.master_for(target.service)
        return primary, [primary.aclose, *(each.aclose for each in sentinel.sentinels)]
    host, port = target.hosts[0]
    redis = Redis(host=host, port=port, db=target.database, ssl=target.tls, **options)
    return redis, [redis.aclose]
