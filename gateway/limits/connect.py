"""From the ``state`` section to the store of a worker's limits."""

import os
from typing import TYPE_CHECKING, Any

from gateway.config.state import State, state_target

if TYPE_CHECKING:
    from gateway.limits.store import LimitStore, Metrics

__all__ = ["connect_limits"]


def connect_limits(state: State, segment: Any, metrics: "Metrics") -> "LimitStore | None":
    """None for `memory://`. Nothing is connected yet."""
    target = state_target(state.url)
    if target.kind != "redis":
        return None
    # A worker without Redis has no use for its client: it costs time at the start, and memory.
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    from gateway.limits.store import LimitStore

    host, port = target.hosts[0]
    redis = Redis(
        host=host,
        port=port,
        db=target.database,
        ssl=target.tls,
        username=target.user,
        password=target.password,
        # Waits are bounded by the store; a retry would be a second wait.
        socket_timeout=state.limit_timeout,
        socket_connect_timeout=state.limit_timeout,
        retry=Retry(NoBackoff(), 0),
    )
    return LimitStore(redis, segment, metrics, os.urandom(8).hex(), state.limit_timeout)
