"""A whole gateway whose endpoints have IPv6 addresses: of the file, found in DNS, checked."""

import socket
from collections.abc import Callable, Iterator

import pytest

from tests.processes.instance import Instance, eventually, fetch
from tests.processes.test_discovery import Named
from tests.servers.dns_server import DnsServer


class Named6(Named):
    """On the loopback address of IPv6."""

    def _listen(self) -> socket.socket:
        return socket.create_server(("::1", 0), family=socket.AF_INET6, backlog=1024)


@pytest.fixture
def upstream() -> Iterator[Named6]:
    running = Named6()
    yield running
    running.close()


def started(instance: Instance, service: str) -> Instance:
    server, _, _ = instance.config.read_text().partition("services:")
    instance.config.write_text(
        f"{server}services: {{ web: {service} }}\n"
        'routes: [ { path: "/{p...}", service: web, auth: none } ]\n'
    )
    instance.start(data_plane="compiled")
    return instance


def health(instance: Instance) -> str:
    [service] = instance.status()["services"][:1]
    [endpoint] = service["endpoints"]
    return str(endpoint["health"])


def test_an_endpoint_of_the_file_with_its_health(
    make_instance: Callable[..., Instance], upstream: Named6
) -> None:
    port = upstream.address[1]
    instance = started(
        make_instance(),
        f'{{ endpoints: [ "http://[::1]:{port}" ], '
        "health: { path: /up, interval: 100ms, unhealthy_after: 1 } }",
    )
    assert fetch(instance.address("http"), "/")[0] == 200
    eventually(lambda: health(instance) == "healthy", "the check reaches it")
    [asked] = {each.get("host") for each in upstream.requests if each.target == "/up"}
    assert asked == f"[::1]:{port}"
    upstream.close()
    eventually(lambda: health(instance) == "unhealthy", "nobody listens any more")


def test_an_endpoint_from_an_aaaa_record(
    make_instance: Callable[..., Instance], upstream: Named6
) -> None:
    names = DnsServer()
    try:
        names.set("web.test", "AAAA", "::1")
        dns = (
            f'name: web.test, type: AAAA, port: {upstream.address[1]}, resolver: "{names.address}"'
        )
        instance = started(make_instance(), f"{{ discovery: {{ dns: {{ {dns} }} }} }}")
        assert fetch(instance.address("http"), "/")[0] == 200
        [service] = instance.status()["services"][:1]
        assert service["endpoints"][0]["url"] == f"http://[::1]:{upstream.address[1]}"
    finally:
        names.close()
