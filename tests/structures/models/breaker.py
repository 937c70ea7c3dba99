"""What the circuit breaker does, said plainly, for one process."""

from dataclasses import dataclass, field
from typing import TypedDict


@dataclass
class Round:
    """Probes of a half-open time. `until`: when another round may begin."""

    until: int
    admitted: int = 0
    succeeded: int = 0


class Rules(TypedDict):
    """As for the real one."""

    window_ms: int
    min_requests: int
    failure_permille: int
    open_for_ms: int
    open_max_ms: int
    probes: int


@dataclass
class BreakerModel:
    """Times are ms. Tickets are numbers of generations, as in the real one."""

    rules: Rules
    state: str = "closed"
    generation: int = 0
    until: int = 0
    openings: int = 0
    round: Round = field(default_factory=lambda: Round(0))
    seen: list[tuple[int, bool]] = field(default_factory=list)
    """Number of the tenth of a window, and whether the request failed."""

    def admit(self, now: int) -> int | None:
        """A ticket, or None."""
        if self.state == "closed":
            return self.generation
        if self.state == "open" and now < self.until:
            return None
        if self.state == "open" or now >= self.round.until:
            self._enter("half_open")
            self.round = Round(now + self.rules["open_for_ms"])
        if self.round.admitted == self.rules["probes"]:
            return None
        self.round.admitted += 1
        return self.generation

    def report(self, ticket: int, outcome: str, now: int) -> None:
        """Without jitter."""
        if ticket != self.generation or self.state == "open":
            return
        if self.state == "half_open":
            self._report_probe(outcome, now)
        elif outcome != "abandoned":
            span = self.rules["window_ms"] // 10
            self.seen.append((now // span, outcome == "failure"))
            recent = [failed for number, failed in self.seen if now // span - number < 10]
            enough = len(recent) >= self.rules["min_requests"]
            too_many = sum(recent) * 1000 >= self.rules["failure_permille"] * len(recent)
            if outcome == "failure" and enough and too_many:
                self._open(now)

    def _report_probe(self, outcome: str, now: int) -> None:
        if outcome == "failure":
            self._open(now)
        elif outcome == "abandoned":
            self.round.admitted -= 1
        else:
            self.round.succeeded += 1
            if self.round.succeeded == self.rules["probes"]:
                self._enter("closed")
                self.seen.clear()
                self.openings = 0

    def _open(self, now: int) -> None:
        self._enter("open")
        self.until = now + min(
            self.rules["open_for_ms"] << self.openings, self.rules["open_max_ms"]
        )
        self.openings += 1

    def _enter(self, state: str) -> None:
        self.state = state
        self.generation += 1
