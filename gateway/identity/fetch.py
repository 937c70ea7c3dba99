"""GET for key sets: small, quick, and only from where the configuration says.

No redirects: a redirect is somebody else saying where to go. A name that leads to a private address
is refused, and the connection goes to the very address that was checked, so that a second answer of
the DNS changes nothing. Size and time are bounded as a whole, not for each read.
"""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httptools

__all__ = ["FetchError", "Fetched", "fetch"]

MAX_BODY = 256 * 1024
"""Bytes. The largest public key sets have some 20 KiB."""
MAX_HEAD = 64 * 1024
TIMEOUT_S = 2.0


class FetchError(Exception):
    """Nothing usable came. The text says why."""


@dataclass
class Fetched:
    """An answer with status 200 or 304."""

    status: int = 0
    body: bytes = b""
    etag: str | None = None
    max_age_s: int | None = None
    """Of Cache-Control."""


@dataclass
class _Response:
    """What httptools' parser reports."""

    fields: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    complete: bool = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, data: bytes) -> None:
        self.body += data
        if len(self.body) > MAX_BODY:
            raise FetchError(f"more than {MAX_BODY >> 10} KiB")

    def on_message_complete(self) -> None:
        self.complete = True


async def fetch(
    url: str,
    *,
    etag: str | None = None,
    allow_private: bool = False,
    tls: ssl.SSLContext | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Fetched:
    """GET the URL. FetchError for anything but 200, or 304 if the ``etag`` is still right."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(timeout_s):
            return await _fetch(parts, etag, allow_private, tls)
    except TimeoutError:
        raise FetchError(f"no whole answer within {timeout_s:g} s") from None
    except (OSError, ssl.SSLError) as error:
        raise FetchError(str(error) or type(error).__name__) from None
    except httptools.HttpParserError as error:
        cause = error.__context__
        raise (cause if isinstance(cause, FetchError) else FetchError("no HTTP")) from None


async def _fetch(
    parts: SplitResult, etag: str | None, allow_private: bool, tls: ssl.SSLContext | None
) -> Fetched:
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = await _checked_address(host, port, allow_private)
    options: dict[str, Any] = {}
    if parts.scheme == "https":
        options = {"ssl": tls or ssl.create_default_context(), "server_hostname": host}
    reader, writer = await asyncio.open_connection(address, port, **options)
    try:
        writer.write(_request(parts, etag))
        return await _read(reader)
    finally:
        writer.transport.abort()  # nothing more is wanted from there
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


async def _checked_address(host: str, port: int, allow_private: bool) -> str:
    """Where to connect: an address that is written out, or one of the name's that is public."""
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(host))
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not allow_private and not ipaddress.ip_address(address.partition("%")[0]).is_global:
            raise FetchError(f"{host} leads to the private address {address} (see allow_private)")
    return addresses[0]


def _request(parts: SplitResult, etag: str | None) -> bytes:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Accept: application/json",
        "User-Agent: gateway",
        "Connection: close",
        *([f"If-None-Match: {etag}"] if etag else []),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _read(reader: asyncio.StreamReader) -> Fetched:
    response = _Response()
    parser = httptools.HttpResponseParser(response)
    received = 0
    while not response.complete:
        data = await reader.read(16 * 1024)
        if not data:
            raise FetchError("the connection ended before the answer did")
        received += len(data)
        if received > MAX_BODY + MAX_HEAD:
            raise FetchError(f"more than {MAX_BODY >> 10} KiB")
        parser.feed_data(data)
    status = parser.get_status_code()
    if status not in (200, 304):
        raise FetchError(f"status {status}")
    return Fetched(
        status=status,
        body=bytes(response.body),
        etag=response.fields.get("etag"),
        max_age_s=_max_age(response.fields.get("cache-control", "")),
    )


def _max_age(cache_control: str) -> int | None:
    for directive in cache_control.split(","):
        name, _, value = directive.strip().lower().partition("=")
        if name == "max-age" and value.isascii() and value.isdigit() and len(value) < 10:
            return int(value)
    return None
