"""HTTP/1.1 as uvicorn speaks it, with bounds: bytes and time of a peer, connections of a port.

Not with uvicorn's other parser, h11: that bounds the size of an unfinished head, but neither its
time nor a head that comes whole, and answers 400. Uvicorn's ``h11_max_incomplete_event_size`` has
no effect here.
"""

import asyncio
from http import HTTPStatus

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.errors import BY_CODE, Refusal

__all__ = ["BoundedHttp"]

HEAD_LIMIT = 64 * 1024
"""Bytes of a request's head, and of what else the parser takes without giving it on: trailers,
extensions of chunks. Browsers and probes send a hundredth of it."""
PIECE = 1024
"""Bytes that the parser is given at a time. It is counted by them: a head may have two more."""
PIPELINE_LIMIT = 16
"""Requests that may wait for the answer of another. Uvicorn reads on for each answer that it gives,
so a pipeline would grow with what is sent. Probes, browsers and our workers send none."""
CONNECTIONS = 1024
"""Of one port. The process needs descriptors for its own checks, too."""

HEAD_S = 10.0
"""From a connection's begin to the first byte, and from that to the end of the head."""
BODY_S = 30.0
"""From the end of the head to the end of the body."""
REST_S = 60.0
"""From an answer to the next request's first byte; also, for a reader that stands still. Uvicorn
closes an idle connection sooner, but it waits for ever until the answer has been read."""
LINGER_S = 1.0
"""For what the peer still sends: closed at once, the connection is reset, and the answer lost."""


class BoundedHttp(HttpToolsProtocol):
    """For ``uvicorn.Config(http=…)``."""

    _held = 0
    """Bytes since the message's begin or its last piece of body."""
    _reads_head = False
    _deaf = False
    """Whether what still comes is thrown away."""
    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse one too many, without an answer."""
        super().connection_made(transport)
        self._expect_within(HEAD_S)
        # Our workers come by a Unix socket, without an address; their pools are bounded.
        if self.client is not None and len(self.connections) > CONNECTIONS:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """No timer holds on to what is gone."""
        self._expect_within(None)
        self._resumed()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed it to the parser for as long as it keeps to the bounds."""
        for start in range(0, len(data), PIECE):
            if self._deaf or self.transport.is_closing():
                return
            piece = data[start : start + PIECE]
            self._held += len(piece)
            super().data_received(piece)
            if self._held > HEAD_LIMIT:
                self._refuse("header_fields_too_large")
            elif len(self.pipeline) > PIPELINE_LIMIT:
                self.transport.abort()

    # --- what the parser has found ---------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A new head, with a time of its own."""
        self._held = 0
        self._reads_head = True
        self._expect_within(HEAD_S)
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Fields of the head. Those behind a body would change what the application has seen."""
        if self._reads_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there; now the body's time runs."""
        self._held = 0
        self._reads_head = False
        self._expect_within(BODY_S)
        super().on_headers_complete()
        if self.parser.should_upgrade():
            # llhttp ends the message here, and would read its body as the next request.
            self._deaf = True
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Given on: the parser does not hold it any more, and uvicorn bounds what it holds."""
        self._held = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Nothing is expected but the answer, for which the application has its own time."""
        self._expect_within(None if self._answers() else REST_S)
        super().on_message_complete()

    # --- answers ---------------------------------------------------------------------------------

    def on_response_complete(self) -> None:
        """It has to be read, and then the next request may come."""
        self._expect_within(REST_S)
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The peer does not read."""
        super().pause_writing()
        self._stalled = self.loop.call_later(REST_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        self._resumed()

    def _resumed(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _answers(self) -> bool:
        # There is no cycle before the first request, whatever its type says.
        return not getattr(self.cycle, "response_complete", True)

    # --- the end of patience ---------------------------------------------------------------------

    def _expect_within(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None
        if seconds is not None:
            self._deadline = self.loop.call_later(seconds, self._refuse, "request_timeout")

    def _refuse(self, code: str) -> None:
        """Answer if that cannot be taken for another answer, and close."""
        if not self._may_answer():
            self.transport.abort()
            return
        self._deaf = True
        if self._answers():  # the application waits for the body
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.flow.resume_reading()
        self.transport.write(_ANSWERS[code])
        self.transport.write_eof()
        self._expect_within(LINGER_S)

    def _may_answer(self) -> bool:
        """Whether the next answer on this connection is that to what is being read."""
        if self.transport.is_closing() or self._deaf:
            return False
        if self._reads_head:
            return not self._answers()
        return self._answers() and not self.pipeline and not self.cycle.response_started


def _answer(row: Refusal) -> bytes:
    body = orjson.dumps({"error": row.message, "code": row.code})
    head = (
        f"HTTP/1.1 {row.status} {HTTPStatus(row.status).phrase}\r\n"
        "content-type: application/json\r\n"
        f"content-length: {len(body)}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + body


_ANSWERS = {code: _answer(BY_CODE[code]) for code in ("header_fields_too_large", "request_timeout")}
