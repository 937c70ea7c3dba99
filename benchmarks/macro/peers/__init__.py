"""The measured proxies, one module each. To add one: a class here, a line in `ALL`."""

from benchmarks.macro.peers.direct import Direct
from benchmarks.macro.peers.envoy import Envoy
from benchmarks.macro.peers.fastify import Fastify
from benchmarks.macro.peers.gateway import Gateway
from benchmarks.macro.peers.haproxy import HAProxy, HAProxyBare
from benchmarks.macro.peers.nginx import Nginx
from benchmarks.macro.peers.peer import Peer

ALL: tuple[Peer, ...] = (
    Gateway(),
    HAProxy(),
    HAProxyBare(),
    Nginx(),
    Envoy(),
    Fastify(),
    Direct(),
)
"""In the order of the report."""
