"""Which children have stopped working without having died."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gateway.supervisor.children import Child

__all__ = ["SILENCE_S", "Heartbeat"]

SILENCE_S = 10.0
"""A worker beats ten times a second; whoever misses a hundred beats is stuck. Longer than any
collection of garbage or burst of page faults seen, shorter than a client's patience."""
LATE_LOOK_S = 2.0
"""The supervisor looks several times a second. After a longer gap it was itself stopped, and
probably the whole machine with it: no child is to blame for the silence."""


@dataclass
class _Pulse:
    beat: int
    seen: float


class Heartbeat:
    """Compares each child's beat with the last look. Times are monotonic seconds.

    A beat is only ever compared for change, so the children's clock does not matter.
    """

    def __init__(self, last_beat: Callable[[int], int]) -> None:
        self._last_beat = last_beat
        self._pulses: dict[int, _Pulse] = {}
        self._looked = 0.0

    def began(self, child: Child, now: float) -> None:
        """A new process has all its time."""
        self._pulses[child.slot] = _Pulse(self._last_beat(child.slot), now)

    def silent(self, children: Iterable[Child], now: float) -> list[Child]:
        """The living children without a beat for SILENCE_S."""
        late = now - self._looked > LATE_LOOK_S
        self._looked = now
        found = []
        for child in children:
            pulse = self._pulses.get(child.slot)
            if child.pid is None or pulse is None:
                continue
            beat = self._last_beat(child.slot)
            if beat != pulse.beat or late:
                pulse.beat, pulse.seen = beat, now
            elif now - pulse.seen > SILENCE_S:
                found.append(child)
        return found
