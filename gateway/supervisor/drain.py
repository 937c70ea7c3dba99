"""The end of an instance: workers finish what they have begun, then the control process leaves."""

from collections.abc import Callable, Sequence

from gateway.counted import counted
from gateway.supervisor.children import Child
from gateway.supervisor.commands import Reply

__all__ = ["Drain"]

GRACE_S = 2.0
"""A worker ends itself at the drain timeout; one that has not done so by then is killed."""
CONTROL_EXIT_S = 7.0
"""The control process holds no client's work, but counts of API keys that are not written yet. It
has low priority: on a busy machine an import that is under way takes seconds."""
REPORT_S = 1.0
"""Between two lines of progress."""


class Drain:
    """Begins at once. Times are monotonic seconds."""

    def __init__(
        self, workers: Sequence[Child], control: Child, timeout_s: float, now: float
    ) -> None:
        self._workers = workers
        self._control = control
        self._deadline = now + timeout_s
        self._control_deadline: float | None = None
        self._next_report = now
        self._followers: list[Reply] = []
        self.on_end: Callable[[], None] | None = None
        """Called when every process is gone."""
        for worker in workers:
            worker.send({"type": "drain", "timeout_s": timeout_s})

    def follow(self, reply: Reply, now: float) -> None:
        """Send progress to this client, and the result when all is done."""
        self._followers.append(reply)
        reply.progress(self._progress(now))

    def tick(self, now: float) -> None:
        """Go on to the next step if its time has come: after every death and every so often."""
        if any(worker.pid is not None for worker in self._workers):
            self._watch_workers(now)
        elif self._control.pid is None:
            self._end()
        elif self._control_deadline is None:
            self._control_deadline = now + CONTROL_EXIT_S
            self._control.send({"type": "exit"})
        elif now > self._control_deadline:
            self._control.kill()

    def _watch_workers(self, now: float) -> None:
        if now > self._deadline + GRACE_S:
            for worker in self._workers:
                worker.kill()
        elif now >= self._next_report:
            self._next_report = now + REPORT_S
            for reply in self._followers:
                reply.progress(self._progress(now))

    def _progress(self, now: float) -> str:
        running = [worker for worker in self._workers if worker.pid is not None]
        exchanges = sum(worker.exchanges for worker in running)
        left_s = max(0.0, self._deadline - now)
        return (
            f"waiting for {counted(exchanges, 'request')} in {counted(len(running), 'worker')}, "
            f"at most {left_s:.0f} s more"
        )

    def _end(self) -> None:
        for reply in self._followers:
            reply.done(True)
        if self.on_end is not None:
            self.on_end()
