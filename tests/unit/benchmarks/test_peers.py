import json
from pathlib import Path

import pytest

from benchmarks.macro import peers, request
from benchmarks.macro.peers.gateway import Gateway, configuration_path
from benchmarks.macro.peers.haproxy import HAProxy, HAProxyBare
from benchmarks.macro.peers.nginx import Nginx
from benchmarks.macro.peers.peer import Peer, Place, first_version
from benchmarks.macro.upstream import echo_template


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, port=4001, upstream_port=4002)


def test_names_are_unique() -> None:
    names = [peer.name for peer in peers.ALL]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("peer", [Nginx(), HAProxy(), HAProxyBare(), Gateway()])
def test_both_ports_stand_in_the_configuration(peer: Peer, place: Place) -> None:
    command = peer.configure(place)
    path = Path(command[-1])
    assert path.parent == place.directory
    text = path.read_text()
    assert "127.0.0.1:4001" in text
    assert "127.0.0.1:4002" in text


def test_only_the_bare_haproxy_adds_nothing(place: Place) -> None:
    assert "X-Correlation-ID" in Path(HAProxy().configure(place)[-1]).read_text()
    assert "X-" not in Path(HAProxyBare().configure(place)[-1]).read_text()


def test_every_path_of_a_gateway_with_many_routes_has_its_own_route(place: Place) -> None:
    gateway = Gateway(routes=25)
    paths = gateway.paths()
    assert len(set(paths)) == 25
    assert paths[14] == "/service-1/resource-4/42"
    gateway.configure(place)
    patterns = [r["path"] for r in json.loads(configuration_path(place).read_text())["routes"]]
    assert patterns[1:] == [path.replace("/42", "/{id}") for path in paths]


def test_one_route_serves_the_measured_path_and_the_echo() -> None:
    assert Gateway().paths() == [request.PATH]
    assert request.ECHO_PATH.startswith("/identity/")


def test_the_upstream_echoes_every_field_of_the_request() -> None:
    lines = echo_template().splitlines()
    for name, _ in request.FIELDS:
        assert f"{name.lower()}: $http_{name.lower().replace('-', '_')}" in lines


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ("nginx version: nginx/1.22.1", "1.22.1"),
        ("HAProxy version 2.6.12-1+deb12u4 2026/10/17", "2.6.12"),
        ("none", "unknown"),
    ],
)
def test_versions(printed: str, version: str) -> None:
    assert first_version(printed) == version
