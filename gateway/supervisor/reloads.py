"""Reloads: one at a time; requests that come while one runs share the next one.

The order of one reload: control loads and compiles → the Plan or the problems → every worker
installs it and says so → it is in force → the answer. Anything that fails on the way leaves the
Plan before it in force, in every worker.

A refresh is a reload without the file: the Plan in force with the endpoints that discovery knows
now. A reload brings them, too, so one that waits makes a refresh needless.

No I/O and no clock in this file: the supervisor tells what happened and does what ``Host`` says.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.control.publication import Publication

__all__ = ["Answer", "Host", "Outcome", "Reloads"]

LOAD_TIMEOUT_S = 60.0
"""Loading takes milliseconds; after this long it waits for something that is not coming."""


@dataclass(frozen=True)
class Outcome:
    """How a reload ended."""

    ok: bool
    generation: int
    """Of the Plan in force now."""
    problems: tuple[str, ...] = ()
    """Why not, if not ``ok``."""
    needs_restart: tuple[str, ...] = ()
    """Settings that have changed in the file and take effect at the next start."""
    refresh: bool = False
    """Whether only the endpoints were new."""


Answer = Callable[[Outcome], None]


class Host(Protocol):
    """What a reload needs from the supervisor."""

    def load(self, generation: int) -> bool:
        """Ask control to load and compile. False if there is no control process ready to ask."""

    def refresh(self, generation: int) -> bool:
        """Ask control for the Plan in force with new endpoints. False as for ``load``."""

    def offer(self, publication: Publication) -> set[int]:
        """Send a Plan to every ready worker; returns their slots."""

    def commit(self, publication: Publication) -> None:
        """This one is the last good one from now on."""

    def finished(self, outcome: Outcome) -> None:
        """A reload has ended; called before those who asked get their answers."""


class Reloads:
    """The state of reloading. Times are monotonic seconds."""

    def __init__(self, host: Host, in_force: Publication) -> None:
        self._host = host
        self._in_force = in_force
        self._candidate: Publication | None = None
        self._missing: set[int] = set()
        """Slots of the workers that have not yet answered to the candidate."""
        self._generation = in_force.generation
        """The last one that was given out; a failed reload uses its number up."""
        self._answers: list[Answer] = []
        self._next_answers: list[Answer] = []
        self._busy = False
        self._stale = False
        """Whether endpoints have changed since the last one began."""
        self._refreshing = False
        self._asked = False
        self._deadline = 0.0

    @property
    def target(self) -> Publication:
        """What a worker that becomes ready now should serve."""
        return self._candidate or self._in_force

    def request(self, answer: Answer, now: float) -> None:
        """Reload, and call ``answer`` with the outcome."""
        self._next_answers.append(answer)
        if not self._busy:
            self._begin(now)

    def refresh(self, now: float) -> None:
        """Endpoints have changed: bring them to the workers, alone or with a reload."""
        self._stale = True
        if not self._busy:
            self._begin(now)

    def control_ready(self) -> None:
        """A control process has started: it gets the request that its predecessor did not."""
        if self._busy and not self._asked:
            self._asked = self._ask()

    def control_gone(self, now: float) -> None:
        """The control process has died. If it was at work on a file, that file may be why."""
        if self._busy and self._asked and self._candidate is None:
            self._fail(["the control process died while it loaded the configuration"], now)

    def loaded(self, publication: Publication, now: float) -> None:
        """Control has compiled the Plan."""
        if not self._loading(publication.generation):
            return
        self._candidate = publication
        self._missing = self._host.offer(publication)
        self._commit_if_complete(now)

    def refused(self, generation: int, problems: list[str], now: float) -> None:
        """Control could not load or compile."""
        if self._loading(generation):
            self._fail(problems, now)

    def installed(self, slot: int, generation: int, now: float) -> None:
        """A worker serves the Plan of this generation."""
        if self._candidate is not None and generation == self._candidate.generation:
            self._missing.discard(slot)
            self._commit_if_complete(now)

    def rejected(self, slot: int, generation: int, reason: str, now: float) -> None:
        """A worker could not install the Plan: those that could go back to the one in force."""
        if self._candidate is None or generation != self._candidate.generation:
            return
        self._host.offer(self._in_force)
        self._fail([f"worker {slot} could not install the new plan: {reason}"], now)

    def worker_gone(self, slot: int, now: float) -> None:
        """A worker has died; its successor gets the Plan when it is ready."""
        if self._candidate is not None:
            self._missing.discard(slot)
            self._commit_if_complete(now)

    def tick(self, now: float) -> None:
        """Give up on a load that takes too long."""
        if self._busy and self._candidate is None and now > self._deadline:
            self._fail([f"the control process did not answer within {LOAD_TIMEOUT_S:.0f} s"], now)

    def _loading(self, generation: int) -> bool:
        return self._busy and self._candidate is None and generation == self._generation

    def _begin(self, now: float) -> None:
        self._answers, self._next_answers = self._next_answers, []
        self._refreshing = not self._answers
        self._stale = False
        self._busy = True
        self._generation += 1
        self._deadline = now + LOAD_TIMEOUT_S
        self._asked = self._ask()

    def _ask(self) -> bool:
        ask = self._host.refresh if self._refreshing else self._host.load
        return ask(self._generation)

    def _commit_if_complete(self, now: float) -> None:
        if self._candidate is None or self._missing:
            return
        self._in_force, self._candidate = self._candidate, None
        self._host.commit(self._in_force)
        self._end(
            Outcome(
                True,
                self._in_force.generation,
                needs_restart=self._in_force.needs_restart,
                refresh=self._refreshing,
            ),
            now,
        )

    def _fail(self, problems: list[str], now: float) -> None:
        self._candidate = None
        self._missing = set()
        generation = self._in_force.generation
        self._end(Outcome(False, generation, tuple(problems), refresh=self._refreshing), now)

    def _end(self, outcome: Outcome, now: float) -> None:
        answers, self._answers = self._answers, []
        self._busy = self._asked = False
        self._host.finished(outcome)
        for answer in answers:
            answer(outcome)
        if (self._next_answers or self._stale) and not self._busy:
            self._begin(now)
