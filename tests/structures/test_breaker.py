"""The circuit breaker beside its model, and across processes."""

import mmap
import os

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gateway._core import Breaker, Segment
from tests.structures.models.breaker import BreakerModel, Rules

RULES: Rules = {
    "window_ms": 1000,
    "min_requests": 3,
    "failure_permille": 500,
    "open_for_ms": 400,
    "open_max_ms": 1500,
    "probes": 2,
}
NO_JITTER = 0


def fresh(workers: int = 1) -> Segment:
    return Segment(mmap.mmap(-1, Segment.size_for(workers)), workers, create=True)


class BreakerBesideModel(RuleBasedStateMachine):
    """Two views of one breaker, as two workers have them, must behave as the one model."""

    def __init__(self) -> None:
        super().__init__()
        segment = fresh()
        label = segment.intern("service")
        self.breakers = [Breaker(segment, label, **RULES) for _ in range(2)]
        self.model = BreakerModel(RULES)
        self.now = 10_000
        self.tickets: list[int] = []

    @rule(ms=st.sampled_from([1, 50, 99, 400, 1100, 1500]))
    def wait(self, ms: int) -> None:
        self.now += ms

    @rule(view=st.integers(0, 1), times=st.integers(1, 3))
    def admit(self, view: int, times: int) -> None:
        for _ in range(times):
            ticket, _, retry_after_ms = self.breakers[view].admit(self.now)
            assert ticket == self.model.admit(self.now)
            if ticket is not None:
                self.tickets.append(ticket)
            else:
                assert retry_after_ms > 0

    @precondition(lambda self: self.tickets)
    @rule(
        view=st.integers(0, 1),
        data=st.data(),
        outcome=st.sampled_from(["success", "failure", "failure", "abandoned"]),
    )
    def report(self, view: int, data: st.DataObject, outcome: str) -> None:
        ticket = self.tickets.pop(data.draw(st.integers(0, len(self.tickets) - 1)))
        before = self.model.state
        self.model.report(ticket, outcome, self.now)
        entered = self.breakers[view].report(ticket, outcome, self.now, NO_JITTER)
        assert entered == (self.model.state if self.model.state != before else None)

    @invariant()
    def same_state(self) -> None:
        assert [breaker.state for breaker in self.breakers] == [self.model.state] * 2


BreakerBesideModel.TestCase.settings = settings(
    stateful_step_count=50, max_examples=80, deadline=None
)
TestBreakerBesideModel = BreakerBesideModel.TestCase


def test_one_worker_s_failures_stop_the_others() -> None:
    segment = fresh(2)
    label = segment.intern("service")
    breaker = Breaker(segment, label, **RULES)
    child = os.fork()
    if not child:
        for _ in range(3):
            breaker.report(0, "failure", 100, NO_JITTER)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert breaker.admit(100) == (None, None, 400)
    assert segment.breaker(label) == ("open", 500)
