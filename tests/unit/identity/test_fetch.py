import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from gateway.identity import fetch as module
from gateway.identity.fetch import Fetched, FetchError, fetch


class Origin:
    """Answers with what it is told, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answer = b""
        self.pieces: list[bytes] | None = None
        self.asked: list[bytes] = []
        self.tasks: list[asyncio.Task[object]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.append(task)
        try:
            await self.speak(reader, writer)
        finally:
            writer.close()

    async def speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            self.asked.append(await reader.readuntil(b"\r\n\r\n"))
            for piece in self.pieces or [self.answer]:
                writer.write(piece)
                await writer.drain()
                if self.pieces:
                    await asyncio.sleep(0.05)


@pytest.fixture
async def origin() -> AsyncIterator[tuple[Origin, str]]:
    made = Origin()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield made, f"http://127.0.0.1:{port}/keys?v=2"
    server.close()
    for task in made.tasks:
        task.cancel()
    await asyncio.gather(*made.tasks, return_exceptions=True)
    await asyncio.sleep(0.01)  # what was closed ends on the next turns


def answer(body: bytes = b"{}", status: str = "200 OK", *fields: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def test_a_document(origin: tuple[Origin, str]) -> None:
    server, url = origin
    server.answer = answer(
        b'{"keys":[]}', "200 OK", 'ETag: "7"', "Cache-Control: public, max-age=60"
    )
    assert await fetch(url) == Fetched(200, b'{"keys":[]}', '"7"', 60)
    request = server.asked[0].decode()
    assert request.startswith("GET /keys?v=2 HTTP/1.1\r\n")
    assert f"Host: {url.split('/')[2]}\r\n" in request


async def test_chunks(origin: tuple[Origin, str]) -> None:
    server, url = origin
    server.answer = (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    )
    assert (await fetch(url)).body == b"abc"


async def test_not_modified(origin: tuple[Origin, str]) -> None:
    server, url = origin
    server.answer = b"HTTP/1.1 304 Not Modified\r\n\r\n"
    assert (await fetch(url, etag='"7"')).status == 304
    assert b'If-None-Match: "7"\r\n' in server.asked[0]


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 T", "404 N", "500 E", "204 N"])
async def test_no_redirect_and_no_error_is_followed(
    origin: tuple[Origin, str], status: str
) -> None:
    server, url = origin
    server.answer = answer(b"", status, "Location: http://127.0.0.1:1/evil")
    with pytest.raises(FetchError, match=f"status {status[:3]}"):
        await fetch(url)
    assert len(server.asked) == 1


async def test_size_is_bounded(origin: tuple[Origin, str]) -> None:
    server, url = origin
    server.answer = answer(b"x" * (module.MAX_BODY + 1))
    with pytest.raises(FetchError, match="256 KiB"):
        await fetch(url)
    server.answer = b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100_000
    with pytest.raises(FetchError):
        await fetch(url)


async def test_time_is_bounded_as_a_whole(origin: tuple[Origin, str]) -> None:
    """A byte now and then keeps no time limit of single reads from ending."""
    server, url = origin
    server.pieces = [b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n", *[b"x"] * 100]
    loop = asyncio.get_running_loop()
    begin = loop.time()
    with pytest.raises(FetchError, match=r"within 0\.3 s"):
        await fetch(url, timeout_s=0.3)
    assert loop.time() - begin < 5


@pytest.mark.parametrize(
    "data", [b"", b"SSH-2.0\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"]
)
async def test_no_whole_answer(origin: tuple[Origin, str], data: bytes) -> None:
    server, url = origin
    server.answer = data
    with pytest.raises(FetchError):
        await fetch(url)


async def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(FetchError):
        await fetch(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fe80::1%eth0", "fd00::1", "0.0.0.0"],
)
async def test_a_name_does_not_lead_into_the_house(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    async def resolve(host: str, port: int, **_: object) -> list[object]:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, 0, 0, "", (address, port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    with pytest.raises(FetchError, match="private address"):
        await fetch("https://keys.example.org/")


async def test_the_configuration_may_allow_it(origin: tuple[Origin, str]) -> None:
    server, url = origin
    server.answer = answer()
    by_name = url.replace("127.0.0.1", "localhost")
    with pytest.raises(FetchError, match="allow_private"):
        await fetch(by_name)
    assert server.asked == []
    assert (await fetch(by_name, allow_private=True)).status == 200
