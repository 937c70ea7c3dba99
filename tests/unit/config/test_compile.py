import dataclasses
import json
import os
from pathlib import Path

import pytest

from gateway.config import load
from gateway.config.compile import compile_plan, resolve_workers

CONFIG = """
services:
  a: {endpoints: [http://a]}
  b: {endpoints: [http://b]}
routes:
  - {path: /b, service: b}
  - {path: /b, service: a, methods: GET}
"""


class Numbered:
    """Numbers in the order of the asking, for labels and for places."""

    def __init__(self) -> None:
        self.labels: dict[str, int] = {}
        self.places: dict[str, int] = {}

    def intern(self, text: str) -> int:
        return self.labels.setdefault(text, len(self.labels))

    def place(self, name: str) -> int:
        return self.places.setdefault(name, len(self.places))


def test_labels_are_interned_and_the_generation_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(CONFIG)
    labels = Numbered()
    plan = compile_plan(load(file, {}, {}).config, labels, 7)
    assert plan.generation == 7
    assert [service.label for service in plan.services[:2]] == [
        labels.intern("a"),
        labels.intern("b"),
    ]
    assert [route.label for route in plan.routes[:2]] == [labels.intern("/b")] * 2
    assert [route.service for route in plan.routes[:2]] == [1, 0]
    places = [endpoint.place for service in plan.services[:2] for endpoint in service.endpoints]
    assert places == [labels.place("a http://a"), labels.place("b http://b")]
    assert json.loads(plan.to_bytes()) == json.loads(json.dumps(dataclasses.asdict(plan)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.generation = 8  # type: ignore[misc]


def test_auto_is_one_worker_for_each_core() -> None:
    assert resolve_workers("auto") == len(os.sched_getaffinity(0))
    assert resolve_workers(3) == 3
