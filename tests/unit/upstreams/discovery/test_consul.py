"""Consul as a source: what is asked, what the answers mean, indexes and tokens."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config.discovery import Consul
from gateway.upstreams.discovery import consul as module
from gateway.upstreams.discovery.consul import ConsulSource, next_index
from gateway.upstreams.discovery.source import Endpoint, SourceError
from tests.servers.consul_server import ConsulServer, Instance
from tests.unit.upstreams.discovery.reading import first, opened


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ConsulServer]:
    monkeypatch.setattr(module, "PAUSE_S", 0.01)
    running = ConsulServer()
    yield running
    running.close()


def source(server: ConsulServer, **settings: Any) -> ConsulSource:
    return ConsulSource(
        Consul.model_validate({"address": server.address, "service": "web"} | settings)
    )


async def test_all_tags_must_be_there(server: ConsulServer) -> None:
    server.register("web", Instance(1, tags=("blue", "eu")), Instance(2, tags=("blue",)))
    found = await first(source(server, tags=["blue", "eu"]))
    assert found == {Endpoint("http://10.0.0.1:1")}


async def test_checks_decide_who_takes_part_and_with_which_weight(server: ConsulServer) -> None:
    weights = {"Passing": 10, "Warning": 2}
    server.register(
        "web",
        Instance(1, weights=weights),
        Instance(2, status="warning", weights=weights),
        Instance(3, status="critical"),
        Instance(4, status="maintenance"),
    )
    healthy = Endpoint("http://10.0.0.1:1", 10)
    assert await first(source(server)) == {healthy}
    everybody = await first(source(server, passing_only=False))
    assert everybody == {healthy, Endpoint("http://10.0.0.1:2", 2)}


async def test_addresses_zones_and_large_weights(server: ConsulServer) -> None:
    server.register(
        "web",
        Instance(1, address="", zone="eu-1"),
        Instance(2, address="fd00::1", weights={"Passing": 100_000}),
    )
    assert await first(source(server)) == {
        Endpoint("http://10.9.9.9:1", 1, "eu-1"),
        Endpoint("http://[fd00::1]:2", 65_535),
    }


async def test_zones_from_metadata(server: ConsulServer) -> None:
    server.register(
        "web",
        Instance(1, node_meta={"zone": "of-node"}),
        Instance(2, node_meta={"zone": "of-node"}, meta={"zone": "of-instance"}),
        Instance(3, node_meta={"zone": "of-node"}, zone="locality"),
        Instance(4),
    )
    zones = {endpoint.url[-1]: endpoint.zone for endpoint in await first(source(server))}
    assert zones == {"1": "of-node", "2": "of-instance", "3": "locality", "4": None}


async def test_what_is_asked(server: ConsulServer) -> None:
    await first(source(server, service="a/b", datacenter="dc2", tags="x"))
    path, parameters, _ = server.requests[0]
    assert path == "/v1/health/service/a%2Fb"
    assert parameters == {
        "index": ["0"], "wait": ["60s"], "passing": ["1"], "tag": ["x"], "dc": ["dc2"],
    }  # fmt: skip


async def test_a_token_in_a_file_is_read_again(server: ConsulServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    server.token = "first"
    server.register("web", Instance(1))
    async with opened(source(server, token_file=str(file))) as sets:
        assert len(await anext(sets)) == 1
        file.write_text("second\n")
        server.token = "second"
        server.register("web", Instance(1), Instance(2))
        assert len(await anext(sets)) == 2
        server.token = "third"
        server.register("web")
        with pytest.raises(SourceError, match="answers 403: Permission denied"):
            await anext(sets)
    with pytest.raises(SourceError, match="cannot read the token in /nowhere"):
        await first(source(server, token_file="/nowhere"))


async def test_a_token_in_the_configuration(server: ConsulServer) -> None:
    server.token = "secret"
    await first(source(server, token="secret"))
    with pytest.raises(SourceError, match="403"):
        await first(source(server))


@pytest.mark.parametrize(
    ("last", "given", "expected"),
    [(0, "17", 17), (17, "18", 18), (17, "17", 17), (17, "3", 0), (17, "", 0), (17, "x", 0)],
)
def test_an_index_never_goes_backwards(last: int, given: str, expected: int) -> None:
    assert next_index(last, given) == expected


async def test_after_a_restore_it_asks_from_the_beginning(server: ConsulServer) -> None:
    async with opened(source(server)) as sets:
        await anext(sets)
        server.restore(index=3)
        await anext(sets)
        await anext(sets)
    assert [parameters["index"] for _, parameters, _ in server.requests] == [["0"], ["17"], ["0"]]


@pytest.mark.parametrize(
    "body", [b"{", b'{"a": 1}', b"[{}]", b'[{"Checks": [], "Service": {}, "Node": {}}]', b"3"]
)
async def test_nonsense_is_a_failure(server: ConsulServer, body: bytes) -> None:
    server.fault = (200, body)
    with pytest.raises(SourceError, match=r"answers no JSON|unexpected answer"):
        await first(source(server))
