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
    if target.kind == "memory":
        return None
    # A worker without Redis has no use for its client: it costs time at the start, and memory.
    from gateway.limits.nodes import nodes_of
    from gateway.limits.store import LimitStore

    return LimitStore(
        nodes_of(target, state.timeout),
        segment,
        metrics,
        nonce=os.urandom(8).hex(),
        wait_s=state.limit_timeout,
    )
