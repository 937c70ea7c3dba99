"""gateway/limits/connect.py: which state has a store."""

import asyncio
import mmap

from gateway._core import Segment
from gateway.config.state import State
from gateway.limits.connect import connect_limits
from tests.unit.limits.stores import Seen


async def test_memory_has_none_and_redis_has_one() -> None:
    segment = Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True)
    assert connect_limits(State(), segment, Seen()) is None
    store = connect_limits(State(url="redis://127.0.0.1:1/3"), segment, Seen())
    assert store is not None
    store.start()
    await asyncio.sleep(0.1)
    assert store.away, "nobody listens there"
    await store.close()
