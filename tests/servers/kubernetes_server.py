"""A double of a Kubernetes API server: list and watch of EndpointSlices as its API documents them.

No real API server: it needs etcd beside it, and both would have to be built from source for each
run of the tests. What is modelled:
pages (``limit``, ``continue``), ``labelSelector``, resource versions, watches with bookmarks, ends
and cuts of streams, 410 Gone as an answer and as an event after a compaction, bearer tokens (401).
https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

import json
import re
import ssl
import time
from dataclasses import dataclass
from typing import Any

from tests.servers.json_server import STEP_S, JsonServer

LABEL = "kubernetes.io/service-name"


@dataclass
class Pod:
    """One endpoint of a slice. ``ready`` None: not known."""

    address: str
    ready: bool | None = True
    zone: str | None = None

    def document(self) -> dict[str, Any]:
        conditions = {} if self.ready is None else {"ready": self.ready}
        return {"addresses": [self.address], "conditions": conditions, "zone": self.zone}


def endpoint_slice(
    name: str,
    *pods: Pod,
    service: str = "web",
    ports: dict[str, int] | None = None,
    family: str = "IPv4",
) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {LABEL: service}},
        "addressType": family,
        "endpoints": [pod.document() for pod in pods] or None,
        "ports": [
            {"name": port_name, "port": port, "protocol": "TCP"}
            for port_name, port in (ports or {"http": 8080}).items()
        ],
    }


class KubernetesServer(JsonServer):
    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.version = 100
        self.oldest = 100
        """A watch from an earlier version is Gone."""
        self.slices: dict[str, dict[str, Any]] = {}
        self.events: list[tuple[int, dict[str, Any]]] = []
        self.token: str | None = None
        self.page: int | None = None
        """Most items of one answer, whatever ``limit`` says."""
        self.gone_by_event = False
        """410 comes inside the stream, as after a compaction while it is open."""
        self.streams = 0
        """Watches that are open."""
        self._epoch = 0
        super().__init__(tls)

    # --- what a test does to the cluster --------------------------------------------------------

    def put(self, item: dict[str, Any]) -> None:
        name = item["metadata"]["name"]
        self._happen("MODIFIED" if name in self.slices else "ADDED", item)

    def remove(self, name: str) -> None:
        self._happen("DELETED", self.slices[name])

    def bookmark(self) -> None:
        """The version has moved on for other reasons; those who watch are told so."""
        with self.changed:
            self.version += 10
            self._record("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}})

    def compact(self) -> None:
        """Forget history: who knows only an earlier version has to list again."""
        with self.changed:
            self.version += 1
            self.oldest = self.version
            self.events.clear()

    def cut_streams(self) -> None:
        """Every open watch ends in the middle."""
        with self.changed:
            self._epoch += 1
            self.changed.notify_all()

    def _happen(self, kind: str, item: dict[str, Any]) -> None:
        with self.changed:
            self.version += 1
            item = json.loads(json.dumps(item))
            item["metadata"]["resourceVersion"] = str(self.version)
            if kind == "DELETED":
                del self.slices[item["metadata"]["name"]]
            else:
                self.slices[item["metadata"]["name"]] = item
            self._record(kind, item)

    def _record(self, kind: str, item: dict[str, Any]) -> None:
        self.events.append((self.version, {"type": kind, "object": item}))
        self.changed.notify_all()

    # --- what the API answers -------------------------------------------------------------------

    def reply(self, request: Any, path: str, parameters: dict[str, list[str]]) -> None:
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            request.send_json({"kind": "Status", "code": 401, "message": "Unauthorized"}, 401)
        elif not re.fullmatch(r"/apis/discovery\.k8s\.io/v1/namespaces/[^/]+/endpointslices", path):
            request.send_json({"kind": "Status", "code": 404, "message": "not found"}, 404)
        elif "watch" in parameters:
            self._watch(request, parameters)
        else:
            self._list(request, parameters)

    def _selected(self, item: dict[str, Any], parameters: dict[str, list[str]]) -> bool:
        label, _, value = parameters["labelSelector"][0].partition("=")
        return bool(item["metadata"].get("labels", {}).get(label) == value)

    def _list(self, request: Any, parameters: dict[str, list[str]]) -> None:
        with self.changed:
            items = [item for item in self.slices.values() if self._selected(item, parameters)]
            begin = int(parameters.get("continue", ["0"])[0])
            end = begin + min(self.page or 10**6, int(parameters.get("limit", ["1000000"])[0]))
            metadata = {"resourceVersion": str(self.version)}
            if end < len(items):
                metadata["continue"] = str(end)
            request.send_json({"kind": "EndpointSliceList", "metadata": metadata,
                               "items": items[begin:end]})  # fmt: skip

    def _watch(self, request: Any, parameters: dict[str, list[str]]) -> None:
        sent = int(parameters["resourceVersion"][0])
        gone = {"kind": "Status", "code": 410, "message": "too old resource version"}
        if sent < self.oldest:
            if not self.gone_by_event:
                request.send_json(gone, 410)
                return
            request.begin_stream()
            self._send(request, {"type": "ERROR", "object": gone})
            request.end_stream()
            return
        request.begin_stream()
        self.streams += 1
        try:
            self._stream(request, parameters, sent)
        finally:
            self.streams -= 1

    def _stream(self, request: Any, parameters: dict[str, list[str]], sent: int) -> None:
        epoch = self._epoch
        deadline = time.monotonic() + int(parameters["timeoutSeconds"][0])
        while True:
            with self.changed:
                if not self.running or epoch != self._epoch:
                    request.cut()
                    return
                due = [event for version, event in self.events if version > sent]
                sent = max(sent, self.version)
                if not due:
                    self.changed.wait(STEP_S)
            for event in due:
                if event["type"] == "BOOKMARK" or self._selected(event["object"], parameters):
                    self._send(request, event)
            if time.monotonic() > deadline:
                request.end_stream()
                return

    def _send(self, request: Any, event: dict[str, Any]) -> None:
        request.send_chunk(json.dumps(event).encode() + b"\n")
