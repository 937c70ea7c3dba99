"""The status port: probes, the status document, metrics. Read-only, no secrets."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from importlib import metadata
from typing import TYPE_CHECKING, Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.config.stored import KINDS
from gateway.control.hygiene import OneHost, ReadOnly, probed_hosts
from gateway.control.instance import Instance
from gateway.listener import Listener
from gateway.telemetry.metrics import CONTENT_TYPE, Family, render
from gateway.upstreams.report import canary_shares
from gateway.upstreams.report import families as service_families

if TYPE_CHECKING:
    from gateway.upstreams.discovery.watch import Report

__all__ = ["json_response", "status_app"]

_VERSION = {"version": metadata.version("gateway")}


def json_response(content: Any, status_code: int = 200) -> Response:
    """Indented, for it is mostly read by people; never cached, for it is about this moment."""
    body = orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    headers = {"cache-control": "no-store"}
    return Response(body, status_code, headers, media_type="application/json")


def status_app(
    instance: Instance, listener: Listener, more: Callable[[], list[Family]] = list
) -> ASGIApp:
    """``/livez /readyz /health /metrics /version``. ``more``: what else the metrics show."""
    port = _StatusPort(instance, more)
    routes = [
        Route("/livez", port.livez),
        Route("/readyz", port.readyz),
        Route("/health", port.health),
        Route("/metrics", port.metrics),
        Route("/version", port.version),
    ]
    return OneHost(ReadOnly(Starlette(routes=routes)), probed_hosts(listener))


class _StatusPort:
    def __init__(self, instance: Instance, more: Callable[[], list[Family]]) -> None:
        self._instance = instance
        self._more = more

    async def livez(self, request: Request) -> Response:
        """200 as long as this process answers."""
        return PlainTextResponse("ok\n")

    async def readyz(self, request: Request) -> Response:
        """200 if new requests are served, else 503; ``?verbose`` lists what that depends on."""
        try:
            status = await self._instance.status()
        except TimeoutError:
            return PlainTextResponse("the supervisor does not answer\n", 503)
        ready = sum(worker["up"] for worker in status["workers"])
        checks = {"not draining": status["state"] == "running", "a worker is ready": ready > 0}
        text = "ok\n" if all(checks.values()) else "not ready\n"
        if "verbose" in request.query_params:
            lines = [f"[{'+' if ok else '-'}] {name}\n" for name, ok in checks.items()]
            text = f"{''.join(lines)}workers ready: {ready} of {len(status['workers'])}\n{text}"
        return PlainTextResponse(text, 200 if all(checks.values()) else 503)

    async def health(self, request: Request) -> Response:
        """The whole status document; 503 if new requests are not served."""
        try:
            status = await self._instance.status()
        except TimeoutError:
            return json_response({"error": "the supervisor does not answer"}, 503)
        return json_response(status, 200 if status["healthy"] else 503)

    async def metrics(self, request: Request) -> Response:
        """All counters in the Prometheus text format, and which processes are up."""
        families = [Family("gateway_build_info", "gauge", "The version.", [(_VERSION, 1)])]
        families += [self._quarantined(), *self._more()]
        families += _discovery(self._instance.discovered(), time.monotonic())
        families += service_families(self._instance.services())
        in_force = self._instance.publication
        share = self._instance.segment.share
        families.append(canary_shares(in_force.canaries, in_force.services, share))
        with contextlib.suppress(TimeoutError):  # the counters are worth having without it
            families += _families(await self._instance.status())
        text = render(self._instance.segment.collect(), families)
        return Response(text, media_type=CONTENT_TYPE)

    def _quarantined(self) -> Family:
        rows = Counter(row.kind for row in self._instance.publication.quarantined)
        return Family(
            "gateway_store_quarantined_rows",
            "gauge",
            "Rows of the store that are not in force because they are not valid.",
            [({"kind": kind}, rows[kind]) for kind in KINDS],
        )

    async def version(self, request: Request) -> Response:
        """The installed version."""
        return json_response(_VERSION)


def _families(status: dict[str, Any]) -> list[Family]:
    up = [({"worker": str(worker["slot"])}, int(worker["up"])) for worker in status["workers"]]
    last_reload = status["last_reload"]
    accepted = int(last_reload is None or last_reload["ok"])
    return [
        Family("gateway_worker_up", "gauge", "Whether a worker serves requests.", up),
        Family(
            "gateway_last_reload_successful",
            "gauge",
            "Whether the configuration file, when last read, was put in force.",
            [({}, accepted)],
        ),
        Family("gateway_uptime_seconds", "gauge", "Since the start.", [({}, status["uptime_s"])]),
    ]


def _discovery(reports: "list[Report]", now: float) -> list[Family]:
    labelled = [({"service": report.service}, report) for report in reports]
    ages = [
        (labels, now - report.confirmed)
        for labels, report in labelled
        if report.confirmed is not None
    ]
    return [
        Family(
            "gateway_discovery_endpoints",
            "gauge",
            "Endpoints in use of a service whose endpoints are discovered.",
            [(labels, len(report.endpoints)) for labels, report in labelled],
        ),
        Family(
            "gateway_discovery_age_seconds",
            "gauge",
            "Since the source last named endpoints.",
            ages,
        ),
        Family(
            "gateway_discovery_failures_total",
            "counter",
            "Times that the source could not be asked.",
            [(labels, report.failures) for labels, report in labelled],
        ),
    ]
