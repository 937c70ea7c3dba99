"""The status document: what ``gateway status`` and the status port tell about the instance."""

import os
import time
from importlib import metadata
from typing import TYPE_CHECKING, Any

from gateway.supervisor.children import Child
from gateway.upstreams.report import service_states
from gateway.upstreams.splits import split_states

if TYPE_CHECKING:
    from gateway.supervisor.supervisor import Supervisor

__all__ = ["status_document"]


def status_document(supervisor: "Supervisor") -> dict[str, Any]:
    """Plain data, ready for JSON."""
    instance = supervisor.instance
    now = time.monotonic()
    now_ms = time.monotonic_ns() // 1_000_000
    publication, segment = supervisor.publication, instance.segment
    listeners = (instance.http, *instance.control_listeners)
    return {
        "state": supervisor.state,
        "healthy": supervisor.healthy,
        "version": metadata.version("gateway"),
        "pid": os.getpid(),
        "uptime_s": round(now - instance.started, 1),
        "config": instance.config_path,
        "run_dir": str(instance.run_dir.path),
        "generation": supervisor.publication.generation,
        "last_reload": supervisor.last_reload,
        "addresses": {listener.name: listener.address for listener in listeners},
        "control": _child(supervisor.control, now),
        "workers": [
            {
                "slot": worker.slot,
                **_child(worker, now),
                "generation": worker.generation,
                "connections": worker.connections,
                "exchanges": worker.exchanges,
            }
            for worker in supervisor.workers
        ],
        "discovery": [_discovered(report, now) for report in supervisor.discovery],
        "services": service_states(publication.services, segment, now_ms),
        "splits": split_states(publication.splits, publication.services, segment.share),
    }


def _discovered(report: dict[str, Any], now: float) -> dict[str, Any]:
    """Control's report, with an age in place of its clock, which is the same in all processes."""
    fields = {name: value for name, value in report.items() if name != "confirmed"}
    confirmed = report["confirmed"]
    return fields | {"age_s": None if confirmed is None else round(now - confirmed, 1)}


def _child(child: Child, now: float) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "pid": child.pid,
        "state": _state(child),
        "up": child.ready,
        "uptime_s": round(now - child.started, 1) if child.pid is not None else 0.0,
        "restarts": child.restarts,
    }
    if child.pid is None and child.retry_at is not None:
        fields["retry_in_s"] = round(max(0.0, child.retry_at - now), 1)
    return fields


def _state(child: Child) -> str:
    if child.pid is None and not child.started:
        return "waiting for endpoints"
    if child.pid is None:
        return "backing off" if child.retry_at is not None else "gone"
    return "ready" if child.ready else "starting"
