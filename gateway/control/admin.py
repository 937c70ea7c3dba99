"""The admin API, read-only for now: what is in force. Secrets are never in it."""

import time
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.control.hygiene import ReadOnly, local_hosts
from gateway.control.instance import Instance
from gateway.control.status import json_response
from gateway.listener import Listener

__all__ = ["admin_app"]


def admin_app(instance: Instance, listener: Listener) -> ASGIApp:
    """``GET /api/v1/routes``, ``/services``, ``/config``."""
    api = _Api(instance)
    routes = [
        Route("/api/v1/routes", api.routes),
        Route("/api/v1/services", api.services),
        Route("/api/v1/config", api.config),
    ]
    return ReadOnly(Starlette(routes=routes), local_hosts(listener))


class _Api:
    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    async def routes(self, request: Request) -> Response:
        """The routes of the Plan, all defaults filled in."""
        return self._answer(routes=self._plan()["routes"])

    async def services(self, request: Request) -> Response:
        """The services of the Plan, all defaults filled in, and what discovery knows of them."""
        now = time.monotonic()
        found = {report.service: report for report in self._instance.discovered()}
        services = self._plan()["services"]
        for service in services:
            if report := found.get(service["name"]):
                age_s = None if report.confirmed is None else round(now - report.confirmed, 1)
                service["discovery"] = {
                    "source": report.source,
                    "state": report.state,
                    "age_s": age_s,
                    "failures": report.failures,
                }
        return self._answer(services=services)

    async def config(self, request: Request) -> Response:
        """The effective configuration, written as in a file."""
        return self._answer(config=self._instance.publication.config)

    def _plan(self) -> dict[str, Any]:
        plan: dict[str, Any] = orjson.loads(self._instance.publication.plan)
        return plan

    def _answer(self, **content: Any) -> Response:
        return json_response({"generation": self._instance.publication.generation, **content})
