"""A double of a Consul agent: ``GET /v1/health/service/NAME`` as its HTTP API documents it.

No real agent: its main module takes parts of itself from folders, so it cannot be built from
published modules alone, and no package of Debian has it. What is modelled: blocking queries
(``index``, ``wait``, ``X-Consul-Index``, an index that goes backwards), ``passing``, ``tag``
(several mean all), ``dc``, ACL tokens (403), weights, and the address of the node when the service
has none.
https://developer.hashicorp.com/consul/api-docs/health#list-service-instances-for-a-service
"""

import re
import time
from dataclasses import dataclass, field
from typing import Any

from tests.servers.json_server import STEP_S, JsonServer


@dataclass
class Instance:
    """One registered instance of a service."""

    port: int
    address: str = "10.0.0.1"
    node_address: str = "10.9.9.9"
    status: str = "passing"
    tags: tuple[str, ...] = ()
    weights: dict[str, int] = field(default_factory=lambda: {"Passing": 1, "Warning": 1})
    zone: str | None = None
    meta: dict[str, str] = field(default_factory=dict)
    node_meta: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        service: dict[str, Any] = {
            "ID": f"web-{self.port}", "Service": "web", "Tags": list(self.tags),
            "Address": self.address, "Port": self.port, "Weights": self.weights,
            "Meta": self.meta,
        }  # fmt: skip
        if self.zone:
            service["Locality"] = {"Region": "eu", "Zone": self.zone}
        checks = [
            {"CheckID": "serfHealth", "Status": "passing"},
            {"CheckID": f"service:web-{self.port}", "Status": self.status},
        ]
        node = {"Node": "n", "Address": self.node_address, "Meta": self.node_meta}
        return {"Node": node, "Service": service, "Checks": checks}


class ConsulServer(JsonServer):
    def __init__(self) -> None:
        self.index = 17
        self.services: dict[str, list[Instance]] = {}
        self.token: str | None = None
        super().__init__()

    def register(self, service: str, *instances: Instance) -> None:
        """Replace the instances of a service."""
        with self.changed:
            self.services[service] = list(instances)
            self.index += 1
            self.changed.notify_all()

    def restore(self, index: int) -> None:
        """As after a restored snapshot: the index is smaller than before."""
        with self.changed:
            self.index = index
            self.changed.notify_all()

    def reply(self, request: Any, path: str, parameters: dict[str, list[str]]) -> None:
        if self.token is not None and request.headers.get("X-Consul-Token") != self.token:
            request.send_body(403, b"Permission denied: token with AccessorID lacks permission")
            return
        found = re.fullmatch(r"/v1/health/service/([^/]+)", path)
        if not found:
            request.send_body(404, b"")
            return
        self._block(int(parameters.get("index", ["0"])[0]), parameters.get("wait", ["300s"])[0])
        if not self.running:
            request.cut()
            return
        with self.changed:
            entries = [
                instance.document()
                for instance in self.services.get(found[1], [])
                if self._is_wanted(instance, parameters)
            ]
            request.send_json(entries, X_Consul_Index=str(self.index))

    def _block(self, index: int, wait: str) -> None:
        """A query for an index that is not the last one is answered at once."""
        deadline = time.monotonic() + float(wait.removesuffix("s"))
        with self.changed:
            while self.running and index == self.index and time.monotonic() < deadline:
                self.changed.wait(STEP_S)

    def _is_wanted(self, instance: Instance, parameters: dict[str, list[str]]) -> bool:
        if "passing" in parameters and instance.status != "passing":
            return False
        return set(parameters.get("tag", ())) <= set(instance.tags)
