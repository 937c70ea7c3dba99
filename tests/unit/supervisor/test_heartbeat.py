"""Which children count as stuck."""

from gateway.supervisor.children import Child
from gateway.supervisor.heartbeat import SILENCE_S, Heartbeat

TICK_S = 0.25


class Watch:
    """A child, its beat, and a supervisor that looks every tick."""

    def __init__(self) -> None:
        self.beat = 0
        self.child = Child("worker 0", 0, pid=1)
        self.heartbeat = Heartbeat(lambda slot: self.beat)
        self.now = 100.0
        self.heartbeat.began(self.child, self.now)

    def look_for(self, seconds: float, beating: bool = False) -> bool:
        found = False
        for _ in range(int(seconds / TICK_S)):
            self.now += TICK_S
            self.beat += beating
            found = found or bool(self.heartbeat.silent([self.child], self.now))
        return found


def test_a_beating_child_is_fine() -> None:
    assert not Watch().look_for(5 * SILENCE_S, beating=True)


def test_a_silent_one_is_found_after_the_time_and_not_before() -> None:
    watch = Watch()
    watch.look_for(1, beating=True)
    assert not watch.look_for(SILENCE_S)
    assert watch.look_for(2 * TICK_S)


def test_one_that_never_beat_has_the_same_time() -> None:
    watch = Watch()
    assert not watch.look_for(SILENCE_S)
    assert watch.look_for(2 * TICK_S)


def test_nobody_is_blamed_when_the_supervisor_itself_was_stopped() -> None:
    watch = Watch()
    watch.look_for(1, beating=True)
    watch.now += 3600
    assert not watch.look_for(SILENCE_S)
    assert watch.look_for(2 * TICK_S)


def test_the_dead_are_not_silent() -> None:
    watch = Watch()
    watch.look_for(1)
    watch.child.pid = None
    assert not watch.look_for(2 * SILENCE_S)
