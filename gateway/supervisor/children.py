"""Child processes: how one is forked, what it gives up, and how often it may be started again."""

import contextlib
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.channel import Message, encode
from gateway.supervisor.stream import Stream

__all__ = ["SUPERVISED_SIGNALS", "Backoff", "Child", "fork", "how_it_ended"]

SUPERVISED_SIGNALS = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGUSR1,
)
"""What operators send. Terminals and systemd send them to the whole group: children ignore them and
wait for the supervisor's word."""

QUICK_DEATH_S = 5.0
"""A child that dies younger than this did not get to work: the same will happen again."""
FREE_RESTARTS = 3
"""Quick deaths in a row before a child has to wait."""
FIRST_DELAY_S = 0.5
LAST_DELAY_S = 10.0
"""The longest wait: an operator who has mended the cause does not want to wait longer."""

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>

log = logging.getLogger(__name__)


@dataclass
class Backoff:
    """When a child may start again: at once, unless it keeps dying young. Times in seconds."""

    quick_deaths: int = 0

    def delay_s(self, lived_s: float) -> float:
        """How long to wait after a death at the age of ``lived_s``."""
        self.quick_deaths = self.quick_deaths + 1 if lived_s < QUICK_DEATH_S else 0
        if self.quick_deaths < FREE_RESTARTS:
            return 0.0
        doublings = min(self.quick_deaths - FREE_RESTARTS, 10)  # keeps the power small
        return min(FIRST_DELAY_S * float(2**doublings), LAST_DELAY_S)


@dataclass
class Child:
    """One place in the instance (``worker 0``, ``control``) and the process that fills it now."""

    name: str
    slot: int
    """Its region in the shared segment."""
    backoff: Backoff = field(default_factory=Backoff)
    pid: int | None = None
    stream: Stream | None = None
    started: float = 0.0
    """Monotonic seconds, as all times here."""
    ready: bool = False
    generation: int = 0
    """Of the Plan that it serves."""
    restarts: int = 0
    retry_at: float | None = None
    """When a dead child is started again; None while it lives."""
    connections: int = 0
    exchanges: int = 0

    def send(self, message: Message) -> None:
        """Queue a message; lost if the process is gone."""
        if self.stream is not None:
            self.stream.send(encode(message))

    def kill(self) -> None:
        """End the process now. It is reaped as any other death."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)

    def began(self, pid: int, stream: Stream, generation: int, now: float) -> None:
        """A process fills the place."""
        self.pid, self.stream, self.generation = pid, stream, generation
        self.started, self.retry_at, self.ready = now, None, False

    def ended(self, now: float) -> float:
        """The process is gone. Returns the wait before the next one."""
        delay = self.backoff.delay_s(now - self.started)
        if self.stream is not None:
            self.stream.close()
        self.pid, self.stream, self.ready = None, None, False
        self.connections = self.exchanges = 0
        self.retry_at = now + delay
        return delay


def fork(main: Callable[[], int], release: Callable[[], None]) -> int:
    """Fork a child that runs ``release``, then ``main``, and exits with its result.

    Returns the pid. ``release`` closes what belongs to the supervisor alone. OSError if it fails.
    """
    # A signal between fork and the reset would be written by the child to the supervisor's wake-up
    # pipe; so they wait until the child has handlers of its own.
    _flush()  # or the child would write the same buffered bytes again
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [*SUPERVISED_SIGNALS, signal.SIGCHLD])
    supervisor = os.getpid()
    try:
        pid = os.fork()
        if pid == 0:
            _live_as_child(main, release, supervisor, blocked)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    return pid


def _live_as_child(
    main: Callable[[], int],
    release: Callable[[], None],
    supervisor: int,
    blocked: set[signal.Signals | int],
) -> None:
    code = 1
    try:
        _die_with(supervisor)
        signal.set_wakeup_fd(-1)
        for number in SUPERVISED_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        release()
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        code = main()
    except BaseException:
        log.exception("the process ends because of an error that nothing handled")
    finally:
        # Not sys.exit: that would unwind into the supervisor's frames, which this process has too.
        _flush()
        os._exit(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()


def _die_with(supervisor: int) -> None:
    """Ask the kernel to kill this process when the supervisor dies, however it dies.

    The end of the channel says the same, and is all there is outside Linux; but a child that hangs
    would not read it, and would keep the port.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != supervisor:  # it died before the kernel knew our wish
        os._exit(1)


def how_it_ended(code: int) -> str:
    """An exit code of ``os.waitstatus_to_exitcode``, in words."""
    if code >= 0:
        return f"exited with code {code}"
    return f"was killed by {signal.Signals(-code).name}"
