"""A non-blocking stream socket on the supervisor's selector.

The supervisor must never wait for a peer: a stopped worker or a client that does not read would
stop the restarts of all others. So what the kernel does not take at once waits here.
"""

import selectors
import socket
from collections.abc import Callable

__all__ = ["Stream"]

READ_SIZE = 256 * 1024
"""Bytes per recv: a usual Plan in one call."""


class Stream:
    """Buffered sending, and callbacks for what arrives and for the end of the stream.

    ``on_close`` is called once: when the peer ends the stream, or when ``finish`` has ended it.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        sock: socket.socket,
        on_data: Callable[[bytes], None],
        on_close: Callable[[], None],
    ) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._selector = selector
        self._on_data = on_data
        self._on_close = on_close
        self._outgoing = bytearray()
        self._closed = False
        self._finishing = False
        selector.register(sock, selectors.EVENT_READ, self._on_event)

    def send(self, data: bytes) -> None:
        """Send now what the kernel takes, the rest when it can. No effect on a closed stream."""
        if not self._closed:
            self._outgoing += data
            self._flush()

    def finish(self) -> None:
        """End the stream once everything is sent."""
        self._finishing = True
        if not self._closed:
            self._flush()

    def close(self) -> None:
        """Close now."""
        if not self._closed:
            self._closed = True
            self._selector.unregister(self.sock)
            self.sock.close()

    def _on_event(self, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            self._flush()
        if mask & selectors.EVENT_READ and not self._closed:
            self._receive()

    def _receive(self) -> None:
        try:
            data = self.sock.recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self._on_data(data)
        else:
            self._end()

    def _flush(self) -> None:
        try:
            while self._outgoing:
                del self._outgoing[: self.sock.send(self._outgoing)]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._end()
            return
        if self._finishing and not self._outgoing:
            self._end()
            return
        writing = selectors.EVENT_WRITE if self._outgoing else 0
        self._selector.modify(self.sock, selectors.EVENT_READ | writing, self._on_event)

    def _end(self) -> None:
        self.close()
        self._on_close()
