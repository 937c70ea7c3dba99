"""Reads a source's sets within a bound, and closes it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from gateway.upstreams.discovery.source import EndpointSet, Source

WITHIN_S = 10.0

Sets = AsyncGenerator[EndpointSet, None]


@contextlib.asynccontextmanager
async def opened(source: Source) -> AsyncGenerator[Sets, None]:
    async with asyncio.timeout(WITHIN_S), contextlib.aclosing(source.sets()) as sets:
        yield sets


async def first(source: Source) -> EndpointSet:
    async with opened(source) as sets:
        return await anext(sets)
