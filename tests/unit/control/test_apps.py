"""The status port and the admin API as applications, without sockets."""

import time
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from gateway.config.stored import Quarantined
from gateway.control import instance as instance_module
from gateway.control.instance import Instance
from gateway.control.publication import Publication
from gateway.control.status import status_app
from gateway.listener import Listener
from gateway.upstreams.discovery.source import Endpoint
from gateway.upstreams.discovery.watch import Report

PLAN = '{"routes": [{"path": "/a"}], "services": []}'
SERVICE = {
    "name": "web", "label": 7, "breaker": {"window": 1.0},
    "endpoints": [{"url": "http://a", "place": 8, "zone": None, "priority": 0}],
}  # fmt: skip
PUBLICATION = Publication(3, PLAN, {"server": {"workers": 1}}, 30.0, services=[SERVICE])

LISTENER = Listener("server.status", [], "127.0.0.1", 8007)


class FakeSegment:
    def breaker(self, service: int) -> tuple[str, int]:
        return "open", 0

    def share(self, canary: int) -> int | None:
        return None

    def endpoint(self, endpoint: int, now_ms: int) -> dict[str, Any]:
        return {"health": "unhealthy", "ejected_for_ms": 0, "in_flight": 0, "latency_us": 0.0}

    def collect(self) -> dict[str, Any]:
        from gateway._core import WORKER_METRICS

        counters = {name: 0 for name, _, _ in WORKER_METRICS}
        return {"counters": counters, "services": {}, "limits": {}, "limit_evictions": 0,
                "series": [], "heartbeats": [], "labels_dropped": 0,
                "places_used": 0, "places_dropped": 0}  # fmt: skip


def document(state: str = "running", up: int = 1) -> dict[str, Any]:
    return {
        "state": state,
        "healthy": state == "running" and up > 0,
        "uptime_s": 1.5,
        "last_reload": None,
        "workers": [{"slot": slot, "up": slot < up} for slot in range(2)],
    }


def instance_with(status: dict[str, Any] | None, *reports: Report) -> Instance:
    """An instance whose supervisor gives this answer, or none."""

    def send(message: dict[str, Any]) -> None:
        if status is not None:
            made.on_answer(message["id"], status)

    segment: Any = FakeSegment()
    made = Instance(send, segment, PUBLICATION, lambda: list(reports))
    return made


async def get(app: ASGIApp, path: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.get(path, headers=headers)


@pytest.mark.parametrize(
    ("status", "code"),
    [(document(), 200), (document(state="draining"), 503), (document(up=0), 503)],
)
async def test_readiness_and_health_follow_the_supervisor(
    status: dict[str, Any], code: int
) -> None:
    app = status_app(instance_with(status), LISTENER)
    assert (await get(app, "/readyz")).status_code == code
    health = await get(app, "/health")
    assert health.status_code == code
    assert health.json() == status
    assert health.headers["cache-control"] == "no-store"
    assert (await get(app, "/livez")).status_code == 200


async def test_verbose_says_which_check_failed() -> None:
    text = (
        await get(status_app(instance_with(document("draining")), LISTENER), "/readyz?verbose")
    ).text
    assert "[-] not draining" in text
    assert "[+] a worker is ready" in text
    assert "workers ready: 1 of 2" in text


async def test_a_supervisor_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instance_module, "STATUS_TIMEOUT_S", 0.01)
    app = status_app(instance_with(None), LISTENER)
    assert (await get(app, "/readyz")).status_code == 503
    assert (await get(app, "/health")).status_code == 503
    metrics = await get(app, "/metrics")
    assert metrics.status_code == 200
    assert "gateway_worker_up" not in metrics.text


async def test_a_late_answer_harms_nobody() -> None:
    instance_with(None).on_answer(99, document())


async def test_metrics_tell_which_workers_are_up() -> None:
    text = (await get(status_app(instance_with(document()), LISTENER), "/metrics")).text
    assert 'gateway_worker_up{worker="0"} 1\n' in text
    assert 'gateway_worker_up{worker="1"} 0\n' in text
    assert "gateway_last_reload_successful 1\n" in text
    assert "gateway_build_info{version=" in text


FOUND = Report("web", "dns A web", "ok", (Endpoint("http://a:1"),), time.monotonic(), 2)
SOUGHT = Report("new", "dns A new", "failing", (), None, 1)


async def test_metrics_tell_of_discovered_services() -> None:
    text = (
        await get(status_app(instance_with(document(), FOUND, SOUGHT), LISTENER), "/metrics")
    ).text
    assert 'gateway_discovery_endpoints{service="web"} 1\n' in text
    assert 'gateway_discovery_endpoints{service="new"} 0\n' in text
    assert 'gateway_discovery_failures_total{service="web"} 2\n' in text
    assert 'gateway_discovery_age_seconds{service="web"} ' in text
    assert 'gateway_discovery_age_seconds{service="new"} ' not in text, "it was never confirmed"


async def test_metrics_count_what_is_in_quarantine() -> None:
    rows = (Quarantined("route", "a", "no"), Quarantined("route", "b", "no"))
    instance = instance_with(document())
    instance.publication = Publication(3, PLAN, {}, 30.0, quarantined=rows)
    text = (await get(status_app(instance, LISTENER), "/metrics")).text
    assert 'gateway_store_quarantined_rows{kind="route"} 2\n' in text
    assert 'gateway_store_quarantined_rows{kind="service"} 0\n' in text


async def test_a_reload_is_answered() -> None:
    outcome = {"ok": True, "generation": 4, "problems": []}
    assert await instance_with(outcome).reload() == outcome
