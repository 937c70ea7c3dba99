"""What every request to the control process must satisfy, before any handler sees it."""

import ipaddress
import re
from collections.abc import Callable

import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.listener import Listener

__all__ = ["OneHost", "ReadOnly", "local_hosts", "probed_hosts"]

HostCheck = Callable[[str], bool]
"""Whether a Host (without port, lower case) may be asked for."""

METHODS = ("GET", "HEAD")
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]*))(?::[0-9]*)?")
"""RFC 9110 §7.2: a host, an IPv6 address in brackets, and a port, which may be empty."""


class OneHost:
    """Lets requests through that have exactly one Host, which the check accepts."""

    def __init__(self, app: ASGIApp, host_allowed: HostCheck) -> None:
        self._app = app
        self._host_allowed = host_allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse with 400 or 403, or pass on."""
        if scope["type"] != "http":
            return
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:  # RFC 9112 §3.2: a request has exactly one
            await _refuse(send, 400, "bad_host", "the request must have exactly one Host header")
        elif not self._host_allowed(_without_port(hosts[0].decode("latin-1"))):
            text = "this port does not answer for that Host: use its own address"
            await _refuse(send, 403, "wrong_host", text)
        else:
            await self._app(scope, receive, send)


class ReadOnly:
    """Lets GET and HEAD through."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse with 405, or pass on."""
        if scope["method"] in METHODS:
            await self._app(scope, receive, send)
        else:
            allow = [(b"allow", b"GET, HEAD")]
            text = "this port is read-only: GET and HEAD"
            await _refuse(send, 405, "method_not_allowed", text, allow)


def probed_hosts(listener: Listener) -> HostCheck:
    """For the status port: whatever name the platform has for us, but on a loopback no name.

    There nobody needs one but `localhost`, and browsers are there, see `local_hosts`. What a
    browser says of itself is of no help: to it, a page that has pointed its name here asks its own
    site, so there is no Origin and no cross-site in Sec-Fetch-Site.
    """
    if not ipaddress.ip_address(listener.host).is_loopback:
        return lambda host: True
    return lambda host: host == "localhost" or _address(host) is not None


def local_hosts(listener: Listener) -> HostCheck:
    """For the admin port: the address it is bound to, and localhost if that is a loopback.

    A page on the web can point its own name at 127.0.0.1 and then read what is served there (DNS
    rebinding); the browser still sends that name as Host. An address cannot be pointed elsewhere,
    so where the port is bound to every interface, any address will do.
    """
    bound = ipaddress.ip_address(listener.host)

    def allowed(host: str) -> bool:
        if host == "localhost":
            return bound.is_loopback or bound.is_unspecified
        address = _address(host)
        return address is not None and (address == bound or bound.is_unspecified)

    return allowed


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _without_port(host: str) -> str:
    """Empty if anything but a port follows the host."""
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]).lower() if found else ""


async def _refuse(
    send: Send,
    status: int,
    code: str,
    error: str,
    headers: list[tuple[bytes, bytes]] | None = None,
) -> None:
    body = orjson.dumps({"error": error, "code": code})
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                *(headers or []),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
