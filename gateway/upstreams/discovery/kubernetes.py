"""Endpoints from Kubernetes: list the EndpointSlices of a service, then watch them.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes: a watch
goes on from a resource version; the server ends it now and then, and one that is too old is
answered with 410 Gone, after which only a new list helps.
"""

import asyncio
import os
import random
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.config.discovery import Kubernetes
from gateway.upstreams.discovery.endpoint_slices import endpoints
from gateway.upstreams.discovery.json_client import (
    JsonClient,
    Parameters,
    StatusError,
    expected_shape,
    read_token,
)
from gateway.upstreams.discovery.source import EndpointSet, SourceError

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where every pod finds its credentials."""
PAGE = 500
"""Slices in one answer of a list; kubectl takes as many."""
LIST_TIMEOUT_S = 30.0
WATCH_S = 240
"""The server is asked to end a watch after so long. A connection that died without a word is seen
at the same time, whether the server sends bookmarks or not."""
SLACK_S = 15.0
PAUSE_S = 1.0
"""Longest pause before the next watch or list, so that a server in trouble is not hammered."""
GONE = 410


class _GoneError(Exception):
    """The version that we know is too old for the server."""


@dataclass
class _Slices:
    """What the server has told so far."""

    version: str = ""
    by_name: dict[str, dict[str, Any]] = field(default_factory=dict)

    def take(self, event: dict[str, Any]) -> None:
        """One event of a watch."""
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            if item.get("code") == GONE:
                raise _GoneError
            raise SourceError(f"the watch was ended: {item.get('message')}")
        metadata = item["metadata"]
        self.version = metadata["resourceVersion"]
        if kind in ("ADDED", "MODIFIED"):
            self.by_name[metadata["name"]] = item
        elif kind == "DELETED":
            self.by_name.pop(metadata["name"], None)


class KubernetesSource:
    """Ready endpoints of one service. Credentials are read again whenever they are used."""

    def __init__(
        self,
        kubernetes: Kubernetes,
        environ: Mapping[str, str] = os.environ,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._kubernetes = kubernetes
        self._address = kubernetes.api_server or cluster_address(environ)
        self._path = f"/apis/discovery.k8s.io/v1/namespaces/{kubernetes.namespace}/endpointslices"
        self._chance = chance

    async def sets(self) -> AsyncGenerator[EndpointSet, None]:
        """See ``Source``."""
        client = JsonClient(self._address, self._ca_file())
        try:
            while True:
                with suppress(_GoneError):
                    async with aclosing(self._listed_and_watched(client)) as versions:
                        async for slices in versions:
                            yield self._endpoints(slices)
                await self._pause()
        finally:
            await client.close()

    async def _listed_and_watched(self, client: JsonClient) -> AsyncGenerator[_Slices, None]:
        """All slices after the list, and after each event. _GoneError when a new list is due."""
        slices = await self._list(client)
        yield slices
        while True:
            parameters: Parameters = {
                "watch": "1",
                "allowWatchBookmarks": "true",
                "resourceVersion": slices.version,
                "timeoutSeconds": WATCH_S,
            }
            async with aclosing(self._watch(client, parameters)) as events:
                async for event in events:
                    with expected_shape(self._address):
                        slices.take(event)
                    yield slices
            await self._pause()

    async def _watch(
        self, client: JsonClient, parameters: Parameters
    ) -> AsyncGenerator[dict[str, Any], None]:
        lines = client.lines(
            self._path, self._selected(parameters), self._headers(), WATCH_S + SLACK_S
        )
        with _gone_apart():
            async with aclosing(lines):
                async for event in lines:
                    yield event

    async def _list(self, client: JsonClient) -> _Slices:
        slices = _Slices()
        page: Parameters = {"limit": PAGE}
        while True:
            with _gone_apart():
                listing, _ = await client.get(
                    self._path, self._selected(page), self._headers(), LIST_TIMEOUT_S
                )
            with expected_shape(self._address):
                slices.version = listing["metadata"]["resourceVersion"]
                slices.by_name |= {item["metadata"]["name"]: item for item in listing["items"]}
                rest = listing["metadata"].get("continue")
            if not rest:
                return slices
            page = {"limit": PAGE, "continue": rest}

    def _selected(self, parameters: Parameters) -> Parameters:
        selector = f"kubernetes.io/service-name={self._kubernetes.service}"
        return {"labelSelector": selector, **parameters}

    def _endpoints(self, slices: _Slices) -> EndpointSet:
        with expected_shape(self._address):
            return endpoints(slices.by_name.values(), self._kubernetes.port)

    def _headers(self) -> dict[str, str]:
        if (file := self._account_file(self._kubernetes.token_file, "token")) is None:
            return {}
        return {"authorization": f"Bearer {read_token(file)}"}

    def _ca_file(self) -> Path | None:
        return self._account_file(self._kubernetes.ca_file, "ca.crt")

    def _account_file(self, configured: str | None, name: str) -> Path | None:
        """The account of the pod is for the cluster of the pod: no other server gets its token."""
        if configured is not None:
            return Path(configured)
        return ACCOUNT / name if self._kubernetes.api_server is None else None

    async def _pause(self) -> None:
        await asyncio.sleep(PAUSE_S * self._chance())


def cluster_address(environ: Mapping[str, str]) -> str:
    """The API server of the cluster in which this pod runs."""
    host = environ.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
    port = environ.get("KUBERNETES_SERVICE_PORT", "443")
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


@contextmanager
def _gone_apart() -> Iterator[None]:
    """410 is no failure: it asks for a new list."""
    try:
        yield
    except StatusError as error:
        if error.status == GONE:
            raise _GoneError from None
        raise
