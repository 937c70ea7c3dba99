"""The counters of all processes as Prometheus text, format version 0.0.4.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
Which counters there are, their kinds and their help stand in native/core/src/metrics.rs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

from gateway._core import DURATION_BUCKETS, LIMIT_METRICS, SERVICE_METRICS, WORKER_METRICS

if TYPE_CHECKING:
    from gateway._core import Series, Snapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

PREFIX = "gateway_"

_BOUNDS = (*(repr(bound) for bound in DURATION_BUCKETS), "+Inf")


@dataclass(frozen=True, slots=True)
class Family:
    """A metric that is not counted in the segment, such as build info or which workers are up.

    `name` is the whole name, prefix and unit included. `samples` pairs labels with a value.
    """

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: Sequence[tuple[Mapping[str, str], float]]


def render(snapshot: Snapshot, families: Iterable[Family] = ()) -> str:
    """Render what `Segment.collect()` returned, with `families` in front."""
    lines: list[str] = []
    for family in families:
        lines += _family(family)
    lines += _processes(snapshot)
    lines += _services(snapshot)
    lines += _limits(snapshot)
    lines += _requests(snapshot["series"])
    lines.append("")
    return "\n".join(lines)


def _processes(snapshot: Snapshot) -> Iterator[str]:
    for name, kind, text in WORKER_METRICS:
        yield from _head(PREFIX + name, kind, text)
        yield f"{PREFIX}{name} {snapshot['counters'][name]}"
    name = PREFIX + "metric_labels_dropped_total"
    yield from _head(name, "counter", "Labels that found no room and are shown as other.")
    yield f"{name} {snapshot['labels_dropped']}"
    name = PREFIX + "endpoint_places_used"
    yield from _head(name, "gauge", "Places of endpoints and parts of splits in the shared memory.")
    yield f"{name} {snapshot['places_used']}"
    name = PREFIX + "endpoint_places_dropped_total"
    yield from _head(name, "counter", "Times that an endpoint or part of a split found no place.")
    yield f"{name} {snapshot['places_dropped']}"


def _services(snapshot: Snapshot) -> Iterator[str]:
    services = [
        (_labels({"service": service}), values) for service, values in snapshot["services"].items()
    ]
    for name, kind, text in SERVICE_METRICS:
        yield from _head(PREFIX + name, kind, text)
        for labels, values in services:
            yield f"{PREFIX}{name}{{{labels}}} {values[name]}"


def _limits(snapshot: Snapshot) -> Iterator[str]:
    limits = [
        (_labels({"policy": policy, "route": route}), values)
        for (policy, route), values in snapshot["limits"].items()
    ]
    for name, kind, text in LIMIT_METRICS:
        yield from _head(PREFIX + name, kind, text)
        for labels, values in limits:
            yield f"{PREFIX}{name}{{{labels}}} {values[name]}"
    name = PREFIX + "rate_limit_evictions_total"
    yield from _head(name, "counter", "Limits forgotten early, because their place was needed.")
    yield f"{name} {snapshot['limit_evictions']}"


def _requests(series: Sequence[Series]) -> Iterator[str]:
    labelled = [(_series_labels(each), each) for each in series]

    name = PREFIX + "requests_total"
    yield from _head(name, "counter", "Requests finished.")
    for labels, each in labelled:
        yield f"{name}{{{labels}}} {each['count']}"

    name = PREFIX + "request_duration_seconds"
    yield from _head(name, "histogram", "Time from a request's first byte to its answer's last.")
    for labels, each in labelled:
        for bound, count in zip(_BOUNDS, accumulate(each["buckets"]), strict=True):
            yield f'{name}_bucket{{{labels},le="{bound}"}} {count}'
        yield f"{name}_sum{{{labels}}} {each['sum_seconds']!r}"
        yield f"{name}_count{{{labels}}} {each['count']}"


def _series_labels(series: Series) -> str:
    # Status 0 stands for no single status: requests that found no room in the table of series.
    status = str(series["status"]) if series["status"] else "other"
    return _labels(
        {
            "method": series["method"],
            "route": series["route"],
            "status_code": status,
            "service": series["service"],
        }
    )


def _family(family: Family) -> Iterator[str]:
    yield from _head(family.name, family.kind, family.help)
    for labels, value in family.samples:
        text = f"{{{_labels(labels)}}}" if labels else ""
        yield f"{family.name}{text} {value!r}"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
    yield f"# HELP {name} {escaped}"
    yield f"# TYPE {name} {kind}"


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items())


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
