"""What limits do, in words that can be read: the oracles of tests/structures/test_limiter.py.

Times are whole ticks, as in the structure; a tick is 16 ns.
"""

import math
from dataclasses import dataclass, field

TICK_NS = 16
STEPS = 256
"""A counted window moves in so many steps."""


@dataclass
class TokenBucket:
    """`burst` tokens, one more each `interval` ticks."""

    interval: int
    burst: int
    full_at: int = 0

    def acquire(self, weight: int, now: int) -> tuple[bool, int]:
        """Whether there were as many tokens, and how many are left."""
        missing = max(0, self.full_at - now)
        allowed = missing + weight * self.interval <= self.burst * self.interval
        if allowed:
            missing += weight * self.interval
            self.full_at = now + missing
        return allowed, (self.burst * self.interval - missing) // self.interval


@dataclass
class Log:
    """At most `limit` requests in any `window` ticks."""

    window: int
    limit: int
    requests: list[int] = field(default_factory=list)

    def acquire(self, weight: int, now: int) -> tuple[bool, int]:
        """Whether they fit, and how many more would."""
        self.requests = [at for at in self.requests if at + self.window > now]
        allowed = len(self.requests) + weight <= self.limit
        if allowed:
            self.requests += [now] * weight
        return allowed, self.limit - len(self.requests)


@dataclass
class Counter:
    """Windows that begin with the first request that they take; `sliding` weighs the one before."""

    window: int
    limit: int
    sliding: bool
    start: int | None = None
    before: int = 0
    count: int = 0

    def acquire(self, weight: int, now: int) -> tuple[bool, int]:
        """Whether they fit, and how many more would. A refusal changes nothing."""
        step = max(1, math.ceil(self.window / STEPS))
        present = now // step
        start, before, count = self.start, self.before, self.count
        if start is None or present - start >= (2 if self.sliding else 1) * STEPS:
            start, before, count = present, 0, 0
        elif present - start >= STEPS:
            start, before, count = start + STEPS, count, 0
        used = count
        if self.sliding:
            used += math.ceil(before * (STEPS - (present - start)) / STEPS)
        allowed = used + weight <= self.limit
        if allowed:
            self.start, self.before, self.count = start, before, count + weight
            used += weight
        return allowed, max(0, self.limit - used)
