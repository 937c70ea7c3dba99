"""What one peer may take of a port of the control process, in bytes on real sockets."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.control import bounded_http
from gateway.control.bounded_http import CONNECTIONS, HEAD_LIMIT, PIECE, PIPELINE_LIMIT
from gateway.control.serve import serve
from gateway.control.unix_socket import bind_unix
from gateway.listener import Listener

MIB = 1024 * 1024
LARGE = 32 * MIB
"""More than the kernel holds of a connection."""
SOON_S = 0.3
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /read HTTP/1.1\r\nHost: a\r\n"


class Application:
    """Answers with the fields it sees; under /read only when it has the body."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.lost = 0
        self.release = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body = await request.body() if scope["path"] == "/read" else b""
        except ClientDisconnect:
            self.lost += 1
            return
        while scope["path"] == "/wait" and not self.release.is_set():
            await asyncio.sleep(0.01)
        self.seen.append(body)
        names = b" ".join(name for name, _ in scope["headers"])
        large = b"x" * LARGE if scope["path"] == "/large" else b""
        await Response(names + b"|" + body + large)(scope, receive, send)


class Port:
    """A served socket, and what is behind it."""

    def __init__(self, sock: socket.socket) -> None:
        self.application = Application()
        self.address = sock.getsockname()
        self._family = sock.family
        self._listener = Listener("test", [sock], "127.0.0.1", 0)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Port":
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *error: object) -> None:
        self.application.release.set()
        self._loop.call_soon_threadsafe(self._serving.cancel)
        self._thread.join()

    def _run(self) -> None:
        async def until_cancelled() -> None:
            self._loop = asyncio.get_running_loop()
            self._serving = asyncio.ensure_future(serve(self.application, self._listener))
            self._ready.set()
            with contextlib.suppress(asyncio.CancelledError):
                await self._serving

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(until_cancelled())

    @contextlib.contextmanager
    def connect(self) -> Iterator[socket.socket]:
        with socket.socket(self._family) as link:
            link.settimeout(10)
            link.connect(self.address)
            yield link


@pytest.fixture
def port() -> Iterator[Port]:
    with socket.create_server(("127.0.0.1", 0)) as sock, Port(sock) as served:
        yield served


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes times short: ``short("HEAD_S")``."""

    def make(*names: str) -> None:
        for name in names:
            monkeypatch.setattr(bounded_http, name, SOON_S)

    return make


def head(size: int) -> bytes:
    """A whole one of so many bytes."""
    start = b"GET / HTTP/1.1\r\nHost: a\r\nX: "
    return start + b"x" * (size - len(start) - 4) + b"\r\n\r\n"


def send(link: socket.socket, data: bytes) -> None:
    """All of it, or as much as the other side takes."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        link.sendall(data)


def rest(link: socket.socket) -> bytes:
    """What comes until the other side ends."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := link.recv(65536):
            data += piece
    return data


def answer(link: socket.socket) -> bytes:
    """One, with its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = link.recv(65536)
        assert piece, f"the connection ends after {data!r}"
        data += piece
    start, _, body = data.partition(b"\r\n\r\n")
    length = int(start.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += link.recv(65536)
    return start + b"\r\n\r\n" + body


def test_a_head_within_the_limit_is_read(port: Port) -> None:
    with port.connect() as link:
        for data in (GET, head(HEAD_LIMIT), GET):
            send(link, data)
            assert answer(link).startswith(b"HTTP/1.1 200 ")


def test_a_body_of_any_size_is_read(port: Port) -> None:
    body = b"b" * MIB
    with port.connect() as link:
        send(link, POST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert answer(link).endswith(b"|" + body)
        chunks = b"10000\r\n" + b"c" * 65536 + b"\r\n"
        send(link, POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks * 4 + b"0\r\n\r\n")
        assert answer(link).endswith(b"|" + b"c" * 4 * 65536)


@pytest.mark.parametrize(
    "data",
    [
        head(HEAD_LIMIT + 3 * PIECE),
        head(MIB),
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"n" * MIB,
        b"GET /" + b"p" * MIB,
    ],
)
@pytest.mark.parametrize("pieces", [1, 50])
def test_a_larger_head_is_431(port: Port, data: bytes, pieces: int) -> None:
    step = len(data) // pieces
    with port.connect() as link:
        for start in range(0, len(data), step):
            send(link, data[start : start + step])
        received = rest(link)
    assert received.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b"connection: close\r\n" in received
    assert received.endswith(b'"code":"header_fields_too_large"}')
    assert port.application.seen == []


def test_the_next_head_on_a_connection_has_the_limit_too(port: Port) -> None:
    with port.connect() as link:
        send(link, GET)
        assert answer(link).startswith(b"HTTP/1.1 200 ")
        send(link, head(MIB))
        assert rest(link).startswith(b"HTTP/1.1 431 ")


def test_a_pipelined_head_has_the_limit_and_gets_no_answer_of_another(port: Port) -> None:
    with port.connect() as link:
        send(link, GET.replace(b"/", b"/wait", 1) + head(MIB))
        assert rest(link) == b""


def test_pipelined_requests_are_answered(port: Port) -> None:
    with port.connect() as link:
        last = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        send(link, GET * PIPELINE_LIMIT + last)
        received = rest(link)
    assert received.count(b"HTTP/1.1 200 ") == PIPELINE_LIMIT + 1
    assert received.endswith(b"|")


def test_a_pipeline_does_not_grow_without_bound(port: Port) -> None:
    with port.connect() as link:
        send(link, GET * 10_000)
        assert rest(link).count(b"HTTP/1.1 200 ") < 1000
    assert len(port.application.seen) < 1000


def test_trailers_and_extensions_of_chunks_are_bounded(port: Port) -> None:
    start = POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0"
    for endless in (b"\r\nT: " + b"t" * MIB, b"\r\n" + b"T: t\r\n" * MIB, b";e=" + b"e" * MIB):
        with port.connect() as link:
            send(link, start + endless)
            assert rest(link).startswith(b"HTTP/1.1 431 ")
    assert port.application.seen == []


def test_trailers_are_no_fields_of_the_head(port: Port) -> None:
    with port.connect() as link:
        send(link, POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nTrailing: b\r\n\r\n")
        assert answer(link).endswith(b"\r\n\r\nhost transfer-encoding|a")


@pytest.mark.parametrize("size", [100, 5000])
def test_what_follows_a_wish_to_upgrade_is_no_request(port: Port, size: int) -> None:
    wish = GET.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n")
    body = b"x" * (size - len(GET)) + GET
    with port.connect() as link:
        send(link, wish + b"Content-Length: %d\r\n\r\n" % size + body)
        time.sleep(0.05)
        send(link, GET)
        received = rest(link)
    assert received.count(b"HTTP/1.1 ") == 1
    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close\r\n" in received
    assert len(port.application.seen) == 1


def test_an_unfinished_head_is_408(port: Port, short: Callable[..., None]) -> None:
    short("HEAD_S")
    with port.connect() as link:
        send(link, b"GET / HT")
        assert rest(link).startswith(b"HTTP/1.1 408 ")
    with port.connect() as link:
        send(link, GET)
        answer(link)
        send(link, b"GET / HT")
        assert rest(link).startswith(b"HTTP/1.1 408 ")


def test_a_dripping_head_does_not_extend_its_time(port: Port, short: Callable[..., None]) -> None:
    short("HEAD_S")
    begin = time.monotonic()
    with port.connect() as link:
        link.settimeout(0.02)
        received = b""
        for byte in head(1000):
            send(link, bytes([byte]))
            with contextlib.suppress(TimeoutError):
                received = link.recv(65536)
                break
    assert received.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - begin < 10 * SOON_S


@pytest.mark.parametrize("data", [b"", b"\r\n"])
def test_a_connection_without_a_request_ends(
    port: Port, short: Callable[..., None], data: bytes
) -> None:
    short("HEAD_S", "REST_S")
    with port.connect() as link:
        send(link, data)
        assert rest(link) == b""
    with port.connect() as link:
        send(link, GET)
        answer(link)
        send(link, b"\r\n")  # ends uvicorn's own time for an idle connection
        assert rest(link) == b""


def test_a_body_that_does_not_end_is_408(port: Port, short: Callable[..., None]) -> None:
    short("BODY_S")
    with port.connect() as link:
        send(link, POST + b"Content-Length: 9\r\n\r\nabc")
        assert rest(link).startswith(b"HTTP/1.1 408 ")
    assert (port.application.seen, port.application.lost) == ([], 1)


def test_a_body_after_its_answer_gets_no_second_one(port: Port, short: Callable[..., None]) -> None:
    short("REST_S")
    with port.connect() as link:
        send(link, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        assert answer(link).startswith(b"HTTP/1.1 200 ")
        assert rest(link) == b""


def test_the_application_has_its_own_time(port: Port, short: Callable[..., None]) -> None:
    short("HEAD_S", "BODY_S", "REST_S")
    with port.connect() as link:
        send(link, GET.replace(b"/", b"/wait", 1))
        time.sleep(2 * SOON_S)
        port.application.release.set()
        assert answer(link).startswith(b"HTTP/1.1 200 ")


def test_who_does_not_read_his_answer_is_cut_off(port: Port, short: Callable[..., None]) -> None:
    short("REST_S")
    with port.connect() as link:
        send(link, GET.replace(b"/", b"/large", 1))
        time.sleep(3 * SOON_S)
        assert len(rest(link)) < LARGE


def test_connections_are_bounded(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CONNECTIONS > 100
    monkeypatch.setattr(bounded_http, "CONNECTIONS", 2)
    with port.connect() as first, port.connect() as second:
        for link in (first, second):
            send(link, GET)
            answer(link)
        with port.connect() as third:
            send(third, GET)
            assert rest(third) == b""
        send(second, GET)
        assert answer(second).startswith(b"HTTP/1.1 200 ")


def test_connections_of_our_workers_are_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_http, "CONNECTIONS", 0)
    with bind_unix(tmp_path / "s") as sock, Port(sock) as port, port.connect() as link:
        send(link, GET)
        assert answer(link).startswith(b"HTTP/1.1 200 ")
