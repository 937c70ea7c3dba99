"""Messages between the supervisor and its children, over one socketpair per child.

A frame is a 4-byte big-endian length and that many bytes of JSON, an object with a ``type``:

========== ===================== =======================================================
from       type                  fields
========== ===================== =======================================================
supervisor ``plan``              generation, plan (JSON text): install it
supervisor ``drain``             timeout_s: stop accepting, finish, exit
supervisor ``reopen_logs``
supervisor ``exit``              leave now
supervisor ``load``              generation: read and compile the configuration (control)
supervisor ``refresh``           generation: the Plan in force with the endpoints of now (control)
supervisor ``published``         publication: what is in force now (control)
supervisor ``status``            id, status: the answer to ``status`` (control)
child      ``ready``             generation: it serves
worker     ``installed``         generation
worker     ``rejected``          generation, reason
worker     ``report``            connections, exchanges: its load
control    ``loaded``            publication
control    ``problems``          generation, problems: list of text
control    ``reload``            the watched file has changed
control    ``endpoints``         discovered endpoints have changed, or have been waited for
control    ``discovery``         services: what is known of discovered services
control    ``status``            id: asks for the status document
========== ===================== =======================================================
"""

import asyncio
import struct
from collections.abc import Callable, Iterator
from typing import Any, cast

import orjson

__all__ = ["FRAME_LIMIT", "ChannelProtocol", "Decoder", "Message", "encode"]

Message = dict[str, Any]

FRAME_LIMIT = 256 * 1024 * 1024
"""Bytes. A Plan of 100,000 routes is about 50 MB; more than this is a broken peer."""

_LENGTH = struct.Struct("!I")


def encode(message: Message) -> bytes:
    """One frame: length and JSON."""
    body = orjson.dumps(message)
    return _LENGTH.pack(len(body)) + body


class Decoder:
    """Cuts a byte stream into messages. No I/O: feed it what was received."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield each message that is complete. ValueError on a frame over the limit or bad JSON."""
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > FRAME_LIMIT:
                raise ValueError(f"channel: a frame of {length} bytes, the limit is {FRAME_LIMIT}")
            end = _LENGTH.size + length
            if len(self._buffer) < end:
                return
            message = orjson.loads(self._buffer[_LENGTH.size : end])
            del self._buffer[:end]
            yield message


class ChannelProtocol(asyncio.Protocol):
    """A child's end of its channel, on its event loop."""

    def __init__(self, on_message: Callable[[Message], None], on_lost: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_lost = on_lost
        self._decoder = Decoder()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for ``send``."""
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """Hand on each whole message, in order."""
        for message in self._decoder.feed(data):
            self._on_message(message)

    def connection_lost(self, exc: Exception | None) -> None:
        """The supervisor is gone: nothing restarts or stops this process any more."""
        self._transport = None
        self._on_lost()

    def close(self) -> None:
        """Close this end once what was sent is on its way."""
        if self._transport is not None:
            self._transport.close()

    def send(self, message: Message) -> None:
        """Queue a message; it is lost if the supervisor is gone."""
        if self._transport is not None:
            self._transport.write(encode(message))
