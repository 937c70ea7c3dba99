"""The states of services, as documents and as metrics."""

import mmap
from typing import Any

from gateway._core import Breaker, EndpointSet, Segment
from gateway.upstreams.report import canary_shares, families, service_states

RULES = {
    "window_ms": 1000, "min_requests": 1, "failure_permille": 500, "open_for_ms": 400,
    "open_max_ms": 1500, "probes": 1,
}  # fmt: skip


def test_states_and_families() -> None:
    segment = Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True)
    urls = ["http://a", "http://b", "http://c"]
    services: list[dict[str, Any]] = [
        {
            "name": "web",
            "label": segment.intern("web"),
            "breaker": {"window": 1.0},
            "endpoints": [
                {"url": url, "place": segment.place(f"web {url}", 0), "zone": "z", "priority": 0}
                for url in urls
            ],
        },
        {"name": "bare", "label": segment.intern("bare"), "breaker": None, "endpoints": []},
    ]
    places = [segment.place(f"web {url}", 0) for url in urls]
    Breaker(segment, segment.intern("web"), **RULES).report(0, "failure", 1000, 0)
    segment.set_health(places[1], "unhealthy", 1000)
    outlier: Any = {
        "consecutive_failures": 1, "failure_permille": 0, "latency_percent": 0,
        "latency_floor_us": 0, "min_requests": 1, "window_ms": 1000,
        "eject_for_ms": 500, "eject_max_ms": 500, "max_ejected_percent": 50,
    }  # fmt: skip
    listed = [(place, 1, url, 0, None) for place, url in zip(places, urls, strict=True)]
    endpoints = EndpointSet(
        segment, 0, services[0]["label"], "ewma", listed, seed=0, now_ms=1000, outlier=outlier
    )
    assert endpoints.report(2, True, 10, 1000)
    web, bare = service_states(services, segment, 1100)
    assert web["breaker"] == {"state": "open", "open_for_ms": 300}
    assert [each["usable"] for each in web["endpoints"]] == [True, False, False]
    assert web["endpoints"][2]["ejected_for_ms"] == 400
    assert bare == {"name": "bare", "breaker": None, "endpoints": []}
    breaker, up = families([web, bare])
    assert breaker.samples == [({"service": "web"}, 1)]
    assert [value for _, value in up.samples] == [1, 0, 0]


def test_the_share_of_a_canary() -> None:
    split = [
        {"service": 0, "weight": 95, "place": 6}, {"service": 1, "weight": 5, "place": 7},
    ]  # fmt: skip
    route = {"path": "/x", "split": split, "canary": {"part": 1}}
    services = [{"name": "v1"}, {"name": "v2"}]
    labels = {"route": "/x", "service": "v2"}
    configured = canary_shares([route], services, lambda place: None)
    assert configured.samples == [(labels, 0.05)]
    rolled_back = canary_shares([route], services, {7: 0}.get)
    assert rolled_back.samples == [(labels, 0.0)]
