"""A connection that leads nowhere."""

from typing import Any

from gateway.limits.link import Link


class Wire:
    """A transport that keeps what is written, and the writer around it."""

    def __init__(self) -> None:
        self.written = b""
        self.transport = self
        self.ended = False

    def write(self, data: bytes) -> None:
        if self.ended:
            raise RuntimeError("the handler is closed")  # as a transport of uvloop does
        self.written += data

    def abort(self) -> None:
        self.ended = True

    close = abort


def link_on(wire: Any) -> Link:
    """What is written goes to `wire`."""
    return Link(wire)
