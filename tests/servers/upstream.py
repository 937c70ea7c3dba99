"""Upstreams that record what reached them: one that echoes, one that follows a script."""

import contextlib
import enum
import itertools
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import h11

# A script that waits longer than this has failed; the thread must not outlive its test.
STEP_TIMEOUT_S = 10.0
LONGEST_HEAD = 1 << 20
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Request:
    """A request as an upstream saw it. Names in lower case, in the order of the wire."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    raw: bytes = b""
    body: bytes = b""
    trailers: list[tuple[str, str]] = field(default_factory=list)

    def get_all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name.lower()]

    def get(self, name: str) -> str | None:
        values = self.get_all(name)
        assert len(values) < 2, f"{name} stands {len(values)} times: {values}"
        return values[0] if values else None


def _decode(fields: Any) -> list[tuple[str, str]]:
    return [(name.decode("ascii").lower(), value.decode("latin-1")) for name, value in fields]


class UpstreamConnection:
    def __init__(self, connected: socket.socket, continues: bool) -> None:
        self.socket = connected
        self.continues = continues  # answers Expect: 100-continue by itself
        self.socket.settimeout(STEP_TIMEOUT_S)
        if connected.family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()
        self.requests: list[Request] = []
        self.ended = threading.Event()  # the gateway closed or reset it, or we did
        self._parsed_to = 0
        self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=LONGEST_HEAD)

    def recv(self) -> bytes:
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        self.received += data
        if not data:
            self.ended.set()
        return data

    def recv_head(self) -> Request | None:
        """Reads up to the end of a request's head; None at the end of the connection."""
        event = self._next_event()
        if not isinstance(event, h11.Request):
            return None
        request = Request(
            event.method.decode(), event.target.decode("latin-1"), _decode(event.headers)
        )
        self.requests.append(request)
        return request

    def recv_body(self) -> bool:
        """Reads the rest of the current request. False: the connection ended inside it."""
        request = self.requests[-1]
        while True:
            match self._next_event():
                case h11.Data(data=data):
                    request.body += bytes(data)
                case h11.EndOfMessage(headers=headers):
                    request.trailers = _decode(headers)
                    end = len(self.received) - len(self._parser.trailing_data[0])
                    request.raw = bytes(self.received[self._parsed_to : end])
                    self._parsed_to = end
                    return True
                case _:
                    return False

    def _next_event(self) -> Any:
        while True:
            event = self._parser.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self.continues and self._parser.they_are_waiting_for_100_continue:
                self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                self._parser.send(h11.InformationalResponse(status_code=100, headers=[]))
            if not (data := self.recv()):
                return None  # the end, inside a message or between two
            self._parser.receive_data(data)

    def answered(self) -> None:
        """Tells the parser that a whole response went out, so that the next request is read."""
        self._parser.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
        self._parser.send(h11.EndOfMessage())
        if self._parser.our_state is h11.DONE:
            self._parser.start_next_cycle()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        self.ended.set()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RD)  # wakes a thread that is reading
        self.socket.close()


class Upstream:
    """Accepts on a free port; ``serve`` runs in a thread of its own for each connection."""

    continues = True

    def __init__(self) -> None:
        self._listener = self._listen()
        self.address: Any = self._listener.getsockname()
        self.connections: list[UpstreamConnection] = []
        self.faults: list[str] = []
        self._closing = False
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _listen(self) -> socket.socket:
        return socket.create_server(("127.0.0.1", 0), backlog=1024)

    def limit_receive_buffer(self, size: int, segment: int) -> None:
        """Bounds, in bytes, what the kernel takes for connections that are accepted from now on."""
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)

    def serve(self, connection: UpstreamConnection) -> None:
        raise NotImplementedError

    @property
    def requests(self) -> list[Request]:
        return [request for each in self.connections for request in each.requests]

    @property
    def received(self) -> int:
        return sum(len(each.received) for each in self.connections)

    @property
    def open_connections(self) -> int:
        return sum(not each.ended.is_set() for each in self.connections)

    def wait_for(self, condition: Callable[[], bool], within_s: float = 8.0) -> bool:
        deadline = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def close(self) -> None:
        self._closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self.connections:
            connection.close()
        for thread in self._threads:
            thread.join(STEP_TIMEOUT_S)

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, name="upstream", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing:
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return
            connection = UpstreamConnection(connected, self.continues)
            self.connections.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: UpstreamConnection) -> None:
        try:
            self.serve(connection)
        except h11.RemoteProtocolError as error:
            self.faults.append(f"{error}: {bytes(connection.received[-300:])!r}")
        except OSError:
            pass  # the gateway hung up: the test looks at what was received
        finally:
            connection.close()


class EchoUpstream(Upstream):
    """Answers every request with 200 and a JSON account of it. Bytes as Latin-1 text."""

    def serve(self, connection: UpstreamConnection) -> None:
        while (request := connection.recv_head()) and connection.recv_body():
            connection.send(self.answer(request))
            connection.answered()

    def answer(self, request: Request) -> bytes:
        body = json.dumps(
            {
                "method": request.method,
                "target": request.target,
                "headers": request.headers,
                "trailers": request.trailers,
                "body": request.body.decode("latin-1"),
            }
        ).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        return head.encode() + b"\r\n\r\n" + (b"" if request.method == "HEAD" else body)


class UnixEchoUpstream(EchoUpstream):
    def __init__(self, path: str) -> None:
        self._path = path
        super().__init__()

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self._path)
        listener.listen()
        return listener


class Do(enum.Enum):
    HEAD = "wait for the head of a request"
    BODY = "wait for the rest of that request"
    CLOSE = "close"
    HALF_CLOSE = "send FIN, go on reading"
    RESET = "close with RST"


REQUEST = (Do.HEAD, Do.BODY)  # spliced with *REQUEST
Step = bytes | float | Do | threading.Event | Callable[[UpstreamConnection], None]
Script = Sequence[Step]


class ScriptedUpstream(Upstream):
    """Plays script n on connection n, and the last one on all further connections.

    A step is bytes to send, seconds to sleep, an Event to wait for, something to ``Do``, or a
    function of the connection. After the last step the connection is read until the peer ends it.
    """

    continues = False  # it stands in the script, or it does not happen

    def __init__(self, *scripts: Script) -> None:
        self._scripts = itertools.chain(scripts, itertools.repeat(scripts[-1]))
        self._lock = threading.Lock()
        super().__init__()

    def serve(self, connection: UpstreamConnection) -> None:
        with self._lock:
            script = next(self._scripts)
        for step in script:
            if connection.ended.is_set():
                return
            self._play(step, connection)
        while not connection.ended.is_set():
            connection.recv()

    def _play(self, step: Step, connection: UpstreamConnection) -> None:
        match step:
            case bytes():
                connection.send(step)
            case float() | int():
                connection.ended.wait(step)
            case threading.Event():
                step.wait(STEP_TIMEOUT_S)
            case Do():
                self._do(step, connection)
            case _:
                step(connection)

    def _do(self, step: Do, connection: UpstreamConnection) -> None:
        match step:
            case Do.HEAD:
                if connection.requests and connection.requests[-1].raw:
                    connection.answered()
                connection.recv_head()
            case Do.BODY:
                connection.recv_body()
            case Do.CLOSE:
                connection.close()
            case Do.HALF_CLOSE:
                connection.socket.shutdown(socket.SHUT_WR)
            case Do.RESET:
                connection.reset()


def unused_address() -> tuple[str, int]:
    """An address of this machine that refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()
