"""What the timer wheel does, without a wheel: every entry is looked at in every advance."""

from dataclasses import dataclass, field

TICK_MS = 100


@dataclass
class TimerWheelModel:
    """Handles are given by the real wheel; the model knows when each is to fire."""

    now_ms: int
    armed: dict[int, int] = field(default_factory=dict)
    """Due time of each armed handle, ms."""
    disarmed: set[int] = field(default_factory=set)

    def arm(self, handle: int, due_ms: int) -> None:
        """Arm a new handle or an old one. What is due already fires with the next tick."""
        self.disarmed.discard(handle)
        next_tick_ms = (self.now_ms // TICK_MS + 1) * TICK_MS
        self.armed[handle] = max(due_ms, next_tick_ms)

    def remove(self, handle: int) -> None:
        """Forget a handle."""
        self.armed.pop(handle, None)
        self.disarmed.discard(handle)

    def advance(self, now_ms: int) -> set[int]:
        """Fire what was due at the beginning of the current tick."""
        self.now_ms = now_ms
        tick_began_ms = now_ms // TICK_MS * TICK_MS
        due = {handle for handle, due_ms in self.armed.items() if due_ms <= tick_began_ms}
        for handle in due:
            del self.armed[handle]
        self.disarmed |= due
        return due
