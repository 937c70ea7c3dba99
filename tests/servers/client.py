"""A client that sends exactly the bytes it is told to, and shows exactly what came back."""

import json
import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import h11

DEFAULT_TIMEOUT_S = 5.0
# One read() takes this much; large enough that a 200 MB download is not slow in Python.
RECEIVE_SIZE = 1 << 18
# h11 must not be the one that refuses: tests of our limits need longer heads than ours.
LONGEST_HEAD = 1 << 21


@dataclass
class Response:
    status: int
    headers: list[tuple[str, str]]  # names in lower case
    version: str
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    informational: list[int] = field(default_factory=list)
    complete: bool = False  # False: the connection ended before the body did
    raw: bytes = b""

    def get(self, name: str) -> str | None:
        values = self.get_all(name)
        assert len(values) < 2, f"{name} stands {len(values)} times: {values}"
        return values[0] if values else None

    def get_all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name.lower()]

    def json(self) -> dict[str, Any]:
        """The body as the JSON object that it must be."""
        document = json.loads(self.body)
        assert isinstance(document, dict), document
        return document


def _decode(fields: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("ascii").lower(), value.decode("latin-1")) for name, value in fields]


class Client:
    def __init__(
        self,
        address: tuple[str, int],
        timeout_s: float = DEFAULT_TIMEOUT_S,
        receive_buffer: int | None = None,
    ) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:  # must be set before connect to bound the window
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect(address)
        self._received = bytearray()
        self._ended = False

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_slowly(self, data: bytes, pause_s: float = 0.0003) -> None:
        """A byte at a time; the pause lets the gateway read each one alone."""
        for index in range(len(data)):
            self.socket.sendall(data[index : index + 1])
            time.sleep(pause_s)

    def try_send(self, data: bytes, slowly: bool = False) -> bool:
        """Sends to a peer who may already have refused and closed."""
        try:
            self.send_slowly(data) if slowly else self.send(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def request(self, data: bytes, method: str | None = None) -> Response:
        self.send(data)
        return self.recv_response(method or data.split(b" ", 1)[0].decode("ascii"))

    def get(self, target: str = "/", *fields: str) -> Response:
        lines = [f"GET {target} HTTP/1.1", "Host: a", *fields, "", ""]
        return self.request("\r\n".join(lines).encode("latin-1"))

    def recv_response(self, method: str = "GET") -> Response:
        """The next response, parsed by h11. Raises EOFError if the connection ends before it."""
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=LONGEST_HEAD)
        parser.send(h11.Request(method=method, target="/", headers=[("host", "a")]))
        parser.send(h11.EndOfMessage())
        reader = _ResponseReader(parser)
        while not reader.done:
            if self._received:
                reader.feed(bytes(self._received))
                self._received.clear()
            elif self._ended:
                reader.end()
            else:
                self._receive()
        self._received[:0] = reader.unread
        assert reader.response is not None
        return reader.response

    def recv_some(self) -> bytes:
        """Whatever comes next, at least one byte, or b"" at the end."""
        if not self._received and not self._ended:
            self._receive()
        data = bytes(self._received)
        self._received.clear()
        return data

    def recv_until(self, mark: bytes) -> bytes:
        while mark not in self._received:
            if self._ended:
                raise EOFError(f"the connection ended before {mark!r}: {bytes(self._received)!r}")
            self._receive()
        end = self._received.index(mark) + len(mark)
        data = bytes(self._received[:end])
        del self._received[:end]
        return data

    def recv_all(self) -> bytes:
        while not self._ended:
            self._receive()
        return self.recv_some()

    def recv_eof(self) -> None:
        """The peer closed and sent nothing more; a reset counts as closed."""
        rest = self.recv_all()
        assert rest == b"", f"more bytes came before the end: {rest[:200]!r}"

    def is_open(self, wait_s: float = 0.05) -> bool:
        self.socket.settimeout(wait_s)
        try:
            self._receive()
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(DEFAULT_TIMEOUT_S)
        return not self._ended

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Closes with RST rather than FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()

    def _receive(self) -> None:
        try:
            data = self.socket.recv(RECEIVE_SIZE)
        except ConnectionResetError:
            data = b""
        self._received += data
        self._ended = self._ended or not data


class _ResponseReader:
    """Feeds one h11 connection until one response is complete or cut."""

    def __init__(self, parser: h11.Connection) -> None:
        self._parser = parser
        self._informational: list[int] = []
        self._body = bytearray()
        self._raw = bytearray()
        self.response: Response | None = None
        self.unread = b""
        self.done = False

    def feed(self, data: bytes) -> None:
        self._raw += data
        self._parser.receive_data(data)
        self._read_events()

    def end(self) -> None:
        self._parser.receive_data(b"")
        try:
            self._read_events()
        except h11.RemoteProtocolError as error:
            if self.response is None:
                raise EOFError(f"the connection ended inside the head: {error}") from None
            self._finish(complete=False)
        if self.response is None:
            raise EOFError("the connection ended before a response")

    def _read_events(self) -> None:
        while not self.done:
            event: Any = self._parser.next_event()
            if event in (h11.NEED_DATA, h11.PAUSED):
                self.done = event is h11.PAUSED
                return
            match event:
                case h11.InformationalResponse():
                    self._informational.append(event.status_code)
                case h11.Response():
                    self.response = Response(
                        event.status_code,
                        _decode(event.headers),
                        event.http_version.decode(),
                        informational=self._informational,
                    )
                case h11.Data():
                    self._body += event.data
                case h11.EndOfMessage():
                    assert self.response is not None
                    self.response.trailers = _decode(event.headers)
                    self._finish(complete=True)
                case h11.ConnectionClosed():
                    self.done = True

    def _finish(self, complete: bool) -> None:
        assert self.response is not None
        self.unread = self._parser.trailing_data[0] if complete else b""
        self.response.complete = complete
        self.response.body = bytes(self._body)
        self.response.raw = bytes(self._raw[: len(self._raw) - len(self.unread)])
        self.done = True
