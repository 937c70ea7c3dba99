"""The metrics' text, read back by the parser of Prometheus' own client."""

import mmap

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from gateway._core import DURATION_BUCKETS, SERIES_LIMIT, SERVICE_METRICS, WORKER_METRICS, Segment
from gateway.telemetry.metrics import Family, render

AWKWARD = 'a"b\\c\nd{e},ü=\\n'
MS = 1_000_000  # ns


@pytest.fixture
def segment() -> Segment:
    return Segment(mmap.mmap(-1, Segment.size_for(2)), 2, create=True)


def parse(text: str) -> dict[str, Metric]:
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    return {family.name: family for family in families}


def value(families: dict[str, Metric], sample_name: str, **labels: str) -> float:
    [found] = [
        sample.value
        for family in families.values()
        for sample in family.samples
        if sample.name == sample_name and sample.labels == labels
    ]
    return found


def test_every_row_is_a_family_with_its_kind_and_help(segment: Segment) -> None:
    segment.service_add(0, segment.intern("s"), "upstream_queue", 1)
    families = parse(render(segment.collect()))
    for name, kind, text in (*WORKER_METRICS, *SERVICE_METRICS):
        family = families["gateway_" + name.removesuffix("_total")]
        assert (family.type, family.documentation) == (kind, text)
        assert len(family.samples) == 1
    assert families["gateway_requests"].type == "counter"
    assert families["gateway_request_duration_seconds"].type == "histogram"


def test_values_are_the_sums_of_the_slots(segment: Segment) -> None:
    service = segment.intern("content")
    for slot in range(3):
        segment.add(slot, "bytes_sent_total", 2**40)
        segment.set(slot, "plan_generation", slot)
        segment.service_add(slot, service, "upstream_retries_total", slot)
    families = parse(render(segment.collect()))
    assert value(families, "gateway_bytes_sent_total") == 3 * 2**40
    assert value(families, "gateway_plan_generation") == 2
    assert value(families, "gateway_upstream_retries_total", service="content") == 3


def test_requests_and_their_durations(segment: Segment) -> None:
    route, service = segment.intern("/content/{path...}"), segment.intern("content")
    for duration_ms in (0.1, 0.5, 0.6, 30, 11_000):
        segment.observe(0, route, service, "GET", 200, int(duration_ms * MS))
    families = parse(render(segment.collect()))
    labels = {
        "method": "GET",
        "route": "/content/{path...}",
        "status_code": "200",
        "service": "content",
    }
    assert value(families, "gateway_requests_total", **labels) == 5
    duration = "gateway_request_duration_seconds"
    assert value(families, f"{duration}_count", **labels) == 5
    assert value(families, f"{duration}_sum", **labels) == pytest.approx(11.0312)
    buckets = {
        float(sample.labels["le"]): sample.value
        for sample in families[duration].samples
        if sample.name.endswith("_bucket")
    }
    assert list(buckets) == [*DURATION_BUCKETS, float("inf")]
    at = {0.0005: 2, 0.001: 3, 0.025: 3, 0.05: 4, 10.0: 4, float("inf"): 5}
    assert {bound: buckets[bound] for bound in at} == at


def test_awkward_labels_come_back_as_they_were(segment: Segment) -> None:
    label = segment.intern(AWKWARD)
    segment.observe(0, label, label, "GET", 200, MS)
    segment.service_add(0, label, "upstream_queue", 3)
    families = parse(render(segment.collect()))
    assert value(families, "gateway_upstream_queue", service=AWKWARD) == 3
    [sample] = families["gateway_requests"].samples
    assert (sample.labels["route"], sample.labels["service"]) == (AWKWARD, AWKWARD)


def test_what_found_no_room_is_shown_as_other(segment: Segment) -> None:
    for route in range(SERIES_LIMIT + 5):
        segment.observe(0, route, 0, "PUT", 201, MS)
    text = render(segment.collect())
    line = (
        'gateway_requests_total{method="other",route="other",status_code="other",service="other"} 5'
    )
    assert line in text.splitlines()
    assert "gateway_metrics_overflow_total 5" in text.splitlines()


def test_families_of_the_process_are_added(segment: Segment) -> None:
    info = Family("gateway_build_info", "gauge", "A \\ help\nof two lines.", [({"v": '1"0'}, 1)])
    up = Family("gateway_worker_up", "gauge", "Up.", [({"worker": "0"}, 1), ({"worker": "1"}, 0.5)])
    bare = Family("gateway_start_time_seconds", "gauge", "Start.", [({}, 1.7e9)])
    families = parse(render(segment.collect(), [info, up, bare]))
    assert families["gateway_build_info"].documentation == "A \\ help\nof two lines."
    assert value(families, "gateway_build_info", v='1"0') == 1
    assert value(families, "gateway_worker_up", worker="1") == 0.5
    assert value(families, "gateway_start_time_seconds") == 1.7e9


def test_the_text_ends_with_a_line_feed(segment: Segment) -> None:
    assert render(segment.collect()).endswith("\n")
