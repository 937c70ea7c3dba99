"""Which requests the ports of the control process look at."""

import httpx
import pytest
from starlette.responses import Response
from starlette.types import ASGIApp

from gateway.control.hygiene import OneHost, local_hosts, probed_hosts
from gateway.listener import Listener


def listener(host: str) -> Listener:
    return Listener("server.admin", [], host, 8001)


async def status_of(app: ASGIApp, *hosts: str) -> int:
    """Of the answer to a request with these Host fields."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://a") as client:
        request = client.build_request("GET", "/")
        request.headers = httpx.Headers([(b"host", host.encode("latin-1")) for host in hosts])
        return (await client.send(request)).status_code


@pytest.mark.parametrize(
    ("bound", "host", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "evil.example", False),
        ("127.0.0.1", "127.0.0.1.evil.example", False),
        ("127.0.0.1", "", False),
        ("::1", "::1", True),
        ("10.0.0.5", "10.0.0.5", True),
        ("10.0.0.5", "localhost", False),
        ("0.0.0.0", "10.0.0.5", True),
        ("0.0.0.0", "localhost", True),
        ("0.0.0.0", "evil.example", False),
    ],
)
def test_hosts_of_the_admin_port(bound: str, host: str, allowed: bool) -> None:
    assert local_hosts(listener(bound))(host) is allowed


@pytest.mark.parametrize(
    ("bound", "host", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "10.0.0.5", True),
        ("127.0.0.1", "::1", True),
        ("::1", "localhost", True),
        ("127.0.0.1", "evil.example", False),
        ("127.0.0.1", "127.0.0.1.evil.example", False),
        ("127.0.0.1", "", False),
        ("::1", "evil.example", False),
        ("10.0.0.5", "gateway.internal", True),
        ("0.0.0.0", "gateway-status.default.svc", True),
        ("0.0.0.0", "", True),
    ],
)
def test_hosts_of_the_status_port(bound: str, host: str, allowed: bool) -> None:
    assert probed_hosts(listener(bound))(host) is allowed


@pytest.mark.parametrize("bound", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("port", ["", ":", ":1", ":65535"])
async def test_a_port_may_follow_the_host(bound: str, port: str) -> None:
    app = OneHost(Response("ok"), local_hosts(listener(bound)))
    name = f"[{bound}]" if ":" in bound else bound
    assert await status_of(app, f"{name}{port}") == 200
    assert await status_of(app, f"LocalHost{port}") == 200


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:evil.example", "127.0.0.1:8001:evil.example", "127.0.0.1:8001.evil.example",
        "localhost:28001#.evil.example", "localhost:1/", "localhost: 1", "localhost:+1",
        "localhost:\xb2", "[::1]evil.example", "[::1]:evil.example", "[::1", "::1", "[::1]]:1",
        "localhost]", "[localhost", "u@localhost", "localhost\x00",
    ],
)  # fmt: skip
@pytest.mark.parametrize("bound", ["127.0.0.1", "::1"])
async def test_nothing_but_a_port_may_follow_the_host(bound: str, host: str) -> None:
    app = OneHost(Response("ok"), local_hosts(listener(bound)))
    assert await status_of(app, host) == 403


async def test_exactly_one_host() -> None:
    app = OneHost(Response("ok"), probed_hosts(listener("0.0.0.0")))
    assert await status_of(app, "a") == 200
    assert await status_of(app, "a", "b") == 400
    assert await status_of(app) == 400
