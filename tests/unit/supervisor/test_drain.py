"""The order of the end, without processes."""

from typing import Any

import pytest

from gateway.supervisor.children import Child
from gateway.supervisor.drain import CONTROL_EXIT_S, GRACE_S, Drain


class Place(Child):
    """A child that remembers what it was sent."""

    def __init__(self, name: str, slot: int) -> None:
        super().__init__(name, slot, pid=1000 + slot)
        self.sent: list[dict[str, Any]] = []
        self.killed = 0

    def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    def kill(self) -> None:
        self.killed += 1


class Scene:
    def __init__(self) -> None:
        self.workers = [Place("worker 0", 0), Place("worker 1", 1)]
        self.control = Place("control", 2)
        self.ends = 0
        self.drain = Drain(self.workers, self.control, timeout_s=30, now=0)
        self.drain.on_end = self.end

    def end(self) -> None:
        self.ends += 1


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_workers_first_then_control(scene: Scene) -> None:
    assert [worker.sent for worker in scene.workers] == [[{"type": "drain", "timeout_s": 30}]] * 2
    scene.workers[0].pid = None
    scene.drain.tick(1)
    assert scene.control.sent == []
    scene.workers[1].pid = None
    scene.drain.tick(2)
    scene.drain.tick(2.1)
    assert scene.control.sent == [{"type": "exit"}]
    assert scene.ends == 0
    scene.control.pid = None
    scene.drain.tick(3)
    assert scene.ends == 1


def test_a_worker_that_overstays_is_killed(scene: Scene) -> None:
    scene.drain.tick(30 + GRACE_S)
    assert scene.workers[0].killed == 0
    scene.drain.tick(30.1 + GRACE_S)
    assert scene.workers[0].killed == 1


def test_a_control_process_that_overstays_is_killed(scene: Scene) -> None:
    for worker in scene.workers:
        worker.pid = None
    scene.drain.tick(1)
    scene.drain.tick(1 + CONTROL_EXIT_S)
    assert scene.control.killed == 0
    scene.drain.tick(1.1 + CONTROL_EXIT_S)
    assert scene.control.killed == 1
