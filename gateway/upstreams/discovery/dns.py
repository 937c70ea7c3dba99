"""Endpoints from DNS: the addresses of a name, or its SRV records (RFC 2782).

A set is good for the shortest time to live of the records it was made from.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiodns
from aiodns.error import ARES_ENODATA, ARES_ENOTFOUND
from pycares import AAAARecordData, ARecordData, SRVRecordData

from gateway.config.discovery import Dns
from gateway.upstreams.discovery.source import (
    MAX_WEIGHT,
    Endpoint,
    EndpointSet,
    SourceError,
    http_url,
)

QUERY_TIMEOUT_S = 2.0
"""Of one try; as resolvers do by custom, within a factor of two."""
QUERY_TRIES = 2
MAX_TTL_S = 3600.0
"""Nobody who expects a change within the hour should wait for it any longer."""
JITTER = 0.1
"""Part of the time to live by which gateways that started together drift apart."""


class _Answer(NamedTuple):
    """Records of one type, and how long they are good, seconds."""

    records: list[object]
    ttl_s: float


NOTHING = _Answer([], MAX_TTL_S)
"""The name does not exist, or has no record of this type."""


class DnsSource:
    """Asks again whenever the answer's time to live is over."""

    def __init__(self, dns: Dns, chance: Callable[[], float] = random.random) -> None:
        self._dns = dns
        self._chance = chance

    async def sets(self) -> AsyncGenerator[EndpointSet, None]:
        """See ``Source``."""
        find = self._services if self._dns.type == "SRV" else self._addresses
        while True:
            async with self._resolver() as resolver:
                found, ttl_s = await find(resolver)
            yield found
            wait_s = max(self._dns.min_ttl, min(ttl_s, MAX_TTL_S) if found else 0.0)
            await asyncio.sleep(wait_s * (1 + JITTER * self._chance()))

    @asynccontextmanager
    async def _resolver(self) -> AsyncGenerator[aiodns.DNSResolver, None]:
        """A new one for each look-up: c-ares keeps the answer "no such record" for an hour, and
        reads `/etc/resolv.conf` once.
        """
        server = self._dns.resolver
        resolver = aiodns.DNSResolver(
            [str(server)] if server is not None else None,
            timeout=QUERY_TIMEOUT_S,
            tries=QUERY_TRIES,
        )
        try:
            yield resolver
        finally:
            await resolver.close()

    async def _addresses(self, resolver: aiodns.DNSResolver) -> tuple[EndpointSet, float]:
        port = self._dns.port
        assert port is not None, "the configuration demands it"
        records, ttl_s = await _query(resolver, self._dns.name, self._dns.type)
        found = frozenset(Endpoint(http_url(address, port)) for address in _texts(records))
        return found, ttl_s

    async def _services(self, resolver: aiodns.DNSResolver) -> tuple[EndpointSet, float]:
        """The targets, looked up in their turn; one at the address of a better one is left out.

        Here, and not by the workers: they would ask another resolver, for each connection.
        """
        records, ttl_s = await _query(resolver, self._dns.name, "SRV")
        services = [record for record in records if isinstance(record, SRVRecordData)]
        found: dict[str, Endpoint] = {}
        for record in sorted(services, key=lambda record: record.priority):
            if record.target in ("", "."):  # "decidedly not available"
                continue
            addresses = await _query(resolver, record.target, "A")
            if not addresses.records:
                addresses = await _query(resolver, record.target, "AAAA")
            ttl_s = min(ttl_s, addresses.ttl_s)
            # Weight 0 means "a very small chance", not "none".
            weight = min(max(record.weight, 1), MAX_WEIGHT)
            for text in _texts(addresses.records):
                url = http_url(text, record.port)
                found.setdefault(url, Endpoint(url, weight, priority=record.priority))
        return frozenset(found.values()), ttl_s


async def _query(resolver: aiodns.DNSResolver, name: str, kind: str) -> _Answer:
    try:
        result = await resolver.query_dns(name, kind)
    except aiodns.error.DNSError as error:
        code, text = error.args[:2]
        if code in (ARES_ENODATA, ARES_ENOTFOUND):
            return NOTHING
        raise SourceError(f"no answer to {kind} {name}: {text}") from None
    # The chain of aliases is in the answer, too, and its times to live count as well.
    ttl_s = min((float(record.ttl) for record in result.answer), default=MAX_TTL_S)
    return _Answer([record.data for record in result.answer], ttl_s)


def _texts(records: list[object]) -> list[str]:
    return [record.addr for record in records if isinstance(record, ARecordData | AAAARecordData)]
