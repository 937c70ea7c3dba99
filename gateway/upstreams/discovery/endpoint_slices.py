"""What EndpointSlices say about a service. No I/O.

https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoint-slice-v1/
"""

from collections.abc import Iterable
from typing import Any

from gateway.upstreams.discovery.source import Endpoint, EndpointSet, SourceError, http_url

Slice = dict[str, Any]


def endpoints(slices: Iterable[Slice], port: int | str | None) -> EndpointSet:
    """The ready endpoints on that port; without one, on the only port that there is.

    A service with two address families has each endpoint twice; IPv4 is taken, if there is any.
    """
    known = list(slices)
    for family in ("IPv4", "IPv6"):
        chosen = [item for item in known if item["addressType"] == family]
        if found := frozenset(each for item in chosen for each in _of_slice(item, port)):
            return found
    return frozenset()


def _of_slice(item: Slice, port: int | str | None) -> Iterable[Endpoint]:
    ready = [endpoint for endpoint in item.get("endpoints") or () if _is_ready(endpoint)]
    if not ready:
        return
    number = _port(item, port)
    for endpoint in ready:
        # Further addresses have no meaning, says the API.
        yield Endpoint(http_url(endpoint["addresses"][0], number), 1, endpoint.get("zone"))


def _is_ready(endpoint: dict[str, Any]) -> bool:
    """``null`` means unknown, and is to be taken as ready. A terminating one is not ready."""
    return (endpoint.get("conditions") or {}).get("ready") is not False


def _port(item: Slice, wanted: int | str | None) -> int:
    ports = {
        entry.get("name") or "": entry["port"]
        for entry in item.get("ports") or ()
        if entry.get("protocol", "TCP") == "TCP" and entry.get("port") is not None
    }
    if wanted is None and len(ports) == 1:
        return int(next(iter(ports.values())))
    if wanted in ports:
        return int(ports[str(wanted)])
    if wanted in ports.values():
        return int(str(wanted))
    there = ", ".join(f"{name or 'unnamed'} ({number})" for name, number in ports.items())
    asked = "discovery.kubernetes.port must name one" if wanted is None else f"no port {wanted}"
    raise SourceError(f"{asked}; ports of the EndpointSlices: {there or 'none'}")
