"""Signals as events of the supervisor's selector."""

import contextlib
import os
import selectors
import signal
from collections.abc import Callable, Iterable

__all__ = ["SignalPipe"]


class SignalPipe:
    """Turns signals into calls of ``handler(number)`` from the selector's loop.

    The C handler writes the signal's number to a pipe (``signal.set_wakeup_fd``), so nothing of
    ours runs between two bytecodes of something else, and no signal is lost before a ``select``.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        numbers: Iterable[signal.Signals],
        handler: Callable[[signal.Signals], None],
    ) -> None:
        self._numbers = tuple(numbers)
        self._handler = handler
        self._selector = selector
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in self._numbers:
            # A Python handler must be set for the wake-up byte to be written; it has nothing to do.
            signal.signal(number, lambda *_: None)
        selector.register(self._read, selectors.EVENT_READ, self._on_event)

    def close(self) -> None:
        """Give the signals back to their defaults."""
        signal.set_wakeup_fd(-1)
        for number in self._numbers:
            signal.signal(number, signal.SIG_DFL)
        self._selector.unregister(self._read)
        self.release()

    def release(self) -> None:
        """In a forked child: close the descriptors only."""
        os.close(self._read)
        os.close(self._write)

    def _on_event(self, mask: int) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in os.read(self._read, 4096):
                if number in self._numbers:
                    self._handler(signal.Signals(number))
