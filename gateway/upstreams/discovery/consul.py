"""Endpoints from Consul's catalogue, by blocking queries.

https://developer.hashicorp.com/consul/api-docs/features/blocking: a query names the index of the
last answer and returns when there is a later one, or after ``wait``.
"""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gateway.config.discovery import Consul
from gateway.upstreams.discovery.json_client import (
    JsonClient,
    Parameters,
    expected_shape,
    read_token,
)
from gateway.upstreams.discovery.source import (
    MAX_WEIGHT,
    Endpoint,
    EndpointSet,
    http_url,
)

WAIT_S = 60
"""Longest wait of one query; so often at least the set is confirmed."""
SLACK_S = WAIT_S / 16 + 10
"""Consul spreads the end of waits over a sixteenth of their length; the rest is for the network."""
PAUSE_S = 0.2
"""Between two queries: a catalogue that changes all the time is asked five times a second."""


class ConsulSource:
    """Instances of one service. A token in a file is read again for each query."""

    def __init__(self, consul: Consul) -> None:
        self._consul = consul
        self._path = f"/v1/health/service/{quote(consul.service, safe='')}"

    async def sets(self) -> AsyncGenerator[EndpointSet, None]:
        """See ``Source``."""
        client = JsonClient(self._consul.address)
        index = 0
        try:
            while True:
                entries, headers = await client.get(
                    self._path, self._parameters(index), self._headers(), WAIT_S + SLACK_S
                )
                yield self._endpoints(entries)
                index = next_index(index, headers.get("x-consul-index", ""))
                await asyncio.sleep(PAUSE_S)
        finally:
            await client.close()

    def _parameters(self, index: int) -> Parameters:
        consul = self._consul
        parameters: dict[str, str | int | list[str]] = {"index": index, "wait": f"{WAIT_S}s"}
        if consul.passing_only:
            parameters["passing"] = "1"
        if consul.tags:
            parameters["tag"] = list(consul.tags)
        if consul.datacenter is not None:
            parameters["dc"] = consul.datacenter
        return parameters

    def _headers(self) -> dict[str, str]:
        consul = self._consul
        if consul.token_file is not None:
            return {"x-consul-token": read_token(Path(consul.token_file))}
        if consul.token is not None:
            return {"x-consul-token": consul.token.get_secret_value()}
        return {}

    def _endpoints(self, entries: Any) -> EndpointSet:
        with expected_shape(self._consul.address):
            states = [(entry, _state(entry["Checks"])) for entry in entries]
            return frozenset(
                _endpoint(entry, state) for entry, state in states if state != "critical"
            )


def next_index(last: int, given: str) -> int:
    """The index to wait on: what Consul gave, or 0, from the beginning, if it went backwards.

    It does so when its servers are restored or replaced; to wait on would miss changes for long.
    """
    index = int(given) if given.isascii() and given.isdigit() else 0
    return index if index >= last else 0


def _state(checks: list[dict[str, Any]]) -> str:
    """The worst of an instance's checks; one in maintenance has a critical check."""
    states = {check["Status"] for check in checks}
    if states <= {"passing"}:
        return "passing"
    return "warning" if states <= {"passing", "warning"} else "critical"


def _endpoint(entry: dict[str, Any], state: str) -> Endpoint:
    service, node = entry["Service"], entry["Node"]
    weights = service.get("Weights") or {}
    weight = int(weights.get(state.capitalize(), 1))
    return Endpoint(
        http_url(service["Address"] or node["Address"], int(service["Port"])),
        min(max(weight, 0), MAX_WEIGHT),
        _zone(service, node),
    )


def _zone(*owners: dict[str, Any]) -> str | None:
    """Of the instance, or else of its node: where Consul knows the locality, or by a tag of the
    metadata, which every version has.
    """
    for owner in owners:
        found = (owner.get("Locality") or {}).get("Zone") or (owner.get("Meta") or {}).get("zone")
        if found:
            return str(found)
    return None
