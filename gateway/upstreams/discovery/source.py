"""The interface of every source of endpoints.

A new source is a file here with a class that has ``sets``, a section in
``gateway/config/discovery.py``, a line in ``open_source``, and a row in the conformance suite,
``tests/conformance/discovery``.
"""

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from gateway.config.discovery import Consul, Discovery, Dns, Kubernetes, Registry

if TYPE_CHECKING:
    from gateway.upstreams.discovery.registry import Catalogue

MAX_WEIGHT = 65_535
"""The most that the configuration takes, too."""


class Endpoint(NamedTuple):
    """One instance of a service, as its source describes it."""

    url: str
    """``http://HOST:PORT``, as in the configuration."""
    weight: int = 1
    """0 to MAX_WEIGHT."""
    zone: str | None = None
    priority: int = 0
    """Lower ones come first, as in SRV records."""


EndpointSet = frozenset[Endpoint]


class SourceError(Exception):
    """The source could not be asked, or what it says makes no sense. The text is for the log."""


class Source(Protocol):
    """Knows the endpoints of one service."""

    def sets(self) -> AsyncGenerator[EndpointSet, None]:
        """Yield the whole set: at once, after each change, and whenever it is confirmed.

        Waits between two sets as its protocol demands. Raises SourceError when it cannot go on;
        whoever reads it then pauses and begins anew. A set without endpoints is an answer, too.
        """
        ...


def open_source(discovery: Discovery, catalogue: "Catalogue") -> Source:
    """The source that the configuration asks for. Only its own client library is imported.

    `catalogue`: for those who ask the store.
    """
    match discovery.source:
        case Consul() as consul:
            from gateway.upstreams.discovery.consul import ConsulSource

            return ConsulSource(consul)
        case Kubernetes() as kubernetes:
            from gateway.upstreams.discovery.kubernetes import KubernetesSource

            return KubernetesSource(kubernetes)
        case Dns() as dns:
            from gateway.upstreams.discovery.dns import DnsSource

            return DnsSource(dns)
        case Registry() as registry:
            from gateway.upstreams.discovery.registry import RegistrySource

            return RegistrySource(registry, catalogue)


def http_url(address: str, port: int) -> str:
    """The URL of an endpoint at an IP address or name."""
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
