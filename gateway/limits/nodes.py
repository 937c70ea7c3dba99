"""Which node of Redis has a key, and how to reach it: a server, Sentinel's primary, a cluster."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from typing import Any

from redis.asyncio import RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, RedisError, SlotNotCoveredError

from gateway.config.addresses import Address
from gateway.config.state import StateTarget
from gateway.limits.link import Link, take_over

__all__ = ["Nodes", "nodes_of"]

CLUSTER_TAGS = 16
"""Hash tags over which the keys are spread: as many primaries of a cluster can share the work, and
each worker has as many connections."""


class Nodes(ABC):
    """Where the keys are. Each tag has a connection of its own."""

    tags: tuple[bytes, ...] = (b"",)
    """What keys end in, so that those that are asked about together are on one node."""

    def __init__(self, target: StateTarget, timeout_s: float) -> None:
        """Each server that is asked has `timeout_s` to answer."""
        self._target = target
        self._timeout_s = timeout_s

    @property
    def connect_s(self) -> float:
        """How long `connect` may take, when all servers that know where the nodes are hang but the
        last one that is asked.
        """
        asked = 0 if self._target.kind == "redis" else len(self._target.hosts)
        return self._timeout_s * (asked + 1)

    async def connect(self, tag: bytes) -> Link:
        """To the node that has the keys with this tag. Raises RedisError, OSError, TimeoutError."""
        host, port = await self.address(tag)
        target = self._target
        kind = SSLConnection if target.tls else Connection
        return await take_over(kind(host=host, port=port, db=target.database, **self._options()))

    @abstractmethod
    async def address(self, tag: bytes) -> Address:
        """The node that has the keys with this tag now."""

    def _options(self) -> dict[str, Any]:
        # Waits are bounded by who asks; a retry would be a second wait.
        return {
            "username": self._target.user,
            "password": self._target.password,
            "socket_timeout": self._timeout_s,
            "socket_connect_timeout": self._timeout_s,
            "retry": Retry(NoBackoff(), 0),
        }


class OneNode(Nodes):
    """A server."""

    async def address(self, tag: bytes) -> Address:
        """The one that was configured."""
        return self._target.hosts[0]


class Primary(Nodes):
    """The primary that Sentinel names."""

    async def address(self, tag: bytes) -> Address:
        """Asked anew for each connection: it changes when the primary dies."""
        options = self._options()
        hosts = [(host, port) for host, port in self._target.hosts]
        sentinel: Any = Sentinel(  # type: ignore[no-untyped-call]
            hosts, sentinel_kwargs=options
        )
        try:
            host, port = await sentinel.discover_master(self._target.service)
        finally:
            for each in sentinel.sentinels:
                with contextlib.suppress(RedisError, OSError):
                    await each.aclose()
        return Address(host, port)


class Cluster(Nodes):
    """The primaries of a cluster."""

    tags = tuple(b":{%d}" % number for number in range(CLUSTER_TAGS))

    def __init__(self, target: StateTarget, timeout_s: float) -> None:
        """See `Nodes`."""
        super().__init__(target, timeout_s)
        self._lock = asyncio.Lock()
        self._given: dict[bytes, Address] = {}

    async def address(self, tag: bytes) -> Address:
        """From the map of slots. Who asks a second time has lost his node: the map is read anew."""
        async with self._lock:
            if tag not in self._given:
                self._given = await self._read_map()
            try:
                return self._given.pop(tag)
            except KeyError:
                raise RedisError("no node of the cluster has the slot") from None

    async def _read_map(self) -> dict[bytes, Address]:
        options = self._options()
        nodes = [ClusterNode(host, port, **options) for host, port in self._target.hosts]
        cluster = RedisCluster(startup_nodes=nodes, **options)
        try:
            try:
                await cluster.initialize()
            except RedisClusterException as error:  # which is no RedisError
                raise RedisError(str(error)) from None
            found = {}
            for tag in self.tags:
                with contextlib.suppress(SlotNotCoveredError):
                    node = cluster.get_node_from_key(tag.decode())
                    assert node is not None, "a slot without replicas is an error"
                    found[tag] = Address(node.host, int(node.port))
            return found
        finally:
            for close in (cluster.aclose, *(node.disconnect for node in nodes)):
                with contextlib.suppress(RedisError, OSError):
                    await close()


KINDS: dict[str, type[Nodes]] = {"redis": OneNode, "sentinel": Primary, "cluster": Cluster}


def nodes_of(target: StateTarget, timeout_s: float) -> Nodes:
    """For `redis://`, `rediss://`, `redis+sentinel://` and `redis+cluster://`."""
    return KINDS[target.kind](target, timeout_s)
