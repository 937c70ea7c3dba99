"""What is known of services and endpoints, as people and Prometheus see it."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from gateway.telemetry.metrics import Family
from gateway.upstreams.splits import Decided, shares_of

__all__ = ["UpstreamStates", "canary_shares", "families", "service_states"]

BREAKER_STATES = ("closed", "open", "half_open")
"""In the order of their numbers in the metric."""


class UpstreamStates(Protocol):
    """What is asked of the shared segment."""

    def breaker(self, service: int) -> tuple[str, int]: ...
    def endpoint(self, endpoint: int, now_ms: int) -> Mapping[str, Any]: ...


def service_states(
    services: Sequence[Mapping[str, Any]], segment: UpstreamStates, now_ms: int
) -> list[dict[str, Any]]:
    """`services`: of the Plan. Plain data, ready for JSON."""
    return [
        {
            "name": service["name"],
            "breaker": _breaker(service, segment, now_ms),
            "endpoints": [
                _endpoint(endpoint, segment, now_ms) for endpoint in service["endpoints"]
            ],
        }
        for service in services
    ]


def _breaker(
    service: Mapping[str, Any], segment: UpstreamStates, now_ms: int
) -> dict[str, Any] | None:
    if not service["breaker"]:
        return None
    state, until_ms = segment.breaker(service["label"])
    return {"state": state, "open_for_ms": max(0, until_ms - now_ms)}


def _endpoint(endpoint: Mapping[str, Any], segment: UpstreamStates, now_ms: int) -> dict[str, Any]:
    state = segment.endpoint(endpoint["place"], now_ms)
    usable = state["health"] != "unhealthy" and not state["ejected_for_ms"]
    return {
        "url": endpoint["url"],
        "zone": endpoint["zone"],
        "priority": endpoint["priority"],
        "usable": usable,
        **state,
    }


def families(states: Sequence[Mapping[str, Any]]) -> list[Family]:
    """The gauges of what `service_states` has found."""
    breakers = [
        ({"service": service["name"]}, BREAKER_STATES.index(service["breaker"]["state"]))
        for service in states
        if service["breaker"]
    ]
    endpoints = [
        ({"service": service["name"], "endpoint": endpoint["url"]}, int(endpoint["usable"]))
        for service in states
        for endpoint in service["endpoints"]
    ]
    return [
        Family(
            "gateway_circuit_breaker_state",
            "gauge",
            "0 closed, 1 open, 2 half open.",
            breakers,
        ),
        Family(
            "gateway_upstream_endpoint_up",
            "gauge",
            "Whether an endpoint is neither unhealthy nor ejected.",
            endpoints,
        ),
    ]


def canary_shares(
    routes: Sequence[Mapping[str, Any]],
    services: Sequence[Mapping[str, Any]],
    decided: Decided,
) -> Family:
    """`routes`: those of the Plan with a canary."""
    samples = []
    for route in routes:
        number = route["canary"]["part"]
        service = services[route["split"][number]["service"]]["name"]
        labels = {"route": route["path"], "service": service}
        samples.append((labels, shares_of(route["split"], decided)[number]))
    return Family(
        "gateway_canary_share",
        "gauge",
        "Share of the requests that a canary gets; 0 when it was rolled back.",
        samples,
    )
