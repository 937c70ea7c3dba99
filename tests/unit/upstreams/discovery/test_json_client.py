"""The HTTP client of Consul and Kubernetes: every failure says who failed and how."""

from pathlib import Path

import pytest

from gateway.upstreams.discovery.json_client import JsonClient, StatusError, read_token, tls_context
from gateway.upstreams.discovery.source import SourceError
from tests.servers.json_server import JsonServer
from tests.servers.upstream import unused_address


async def test_a_refused_connection() -> None:
    host, port = unused_address()
    client = JsonClient(f"http://{host}:{port}")
    with pytest.raises(SourceError, match=f"http://{host}:{port} does not answer: "):
        await client.get("/", {}, {}, 1)
    with pytest.raises(SourceError, match="does not answer"):
        await anext(client.lines("/", {}, {}, 1))
    await client.close()


async def test_a_status_is_told_with_the_beginning_of_the_text() -> None:
    server = JsonServer()
    server.fault = (500, b"x" * 1000)
    client = JsonClient(server.address)
    with pytest.raises(StatusError, match=r"answers 500: x{200}$") as caught:
        await client.get("/", {}, {}, 1)
    assert caught.value.status == 500
    with pytest.raises(StatusError):
        await anext(client.lines("/", {}, {}, 1))
    await client.close()
    server.close()


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(SourceError, match="cannot read the token in"):
        read_token(broken)
    for file in (broken, tmp_path / "absent"):
        with pytest.raises(SourceError, match="cannot use the certificates in"):
            tls_context(file)
