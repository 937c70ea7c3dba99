"""A whole gateway whose endpoints register in its own store."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.processes.instance import Instance, eventually, fetch
from tests.processes.test_discovery import Named
from tests.servers.postgres import PostgresServer

SERVICE = """\
services:
  web:
    discovery: { registry: { service: shop } }
    health: { interval: 100ms, timeout: 1s, unhealthy_after: 2, path: null }
routes: [ { path: "/{p...}", service: web, auth: none } ]
"""


@pytest.fixture
def upstreams() -> Iterator[list[Named]]:
    made = [Named() for _ in range(2)]
    yield made
    for upstream in made:
        upstream.close()


@pytest.fixture
def registering(
    make_instance: Callable[..., Instance], postgres_server: PostgresServer
) -> Instance:
    instance = make_instance(store_url=postgres_server.database())
    server, _, _ = instance.config.read_text().partition("services:")
    instance.config.write_text(server + SERVICE)
    instance.start(data_plane="compiled")
    instance.admin_token()
    return instance


def url(upstream: Named) -> str:
    return f"http://127.0.0.1:{upstream.address[1]}"


def register(instance: Instance, upstream: Named, **more: Any) -> Any:
    status, made = instance.admin(
        "POST", "/instances", {"service": "shop", "url": url(upstream), **more}
    )
    assert status == 200, made
    return made


def verb(instance: Instance, *arguments: str) -> str:
    return instance.verb("registry", *arguments, "-c", str(instance.config)).stdout


def answers(instance: Instance) -> bool:
    return fetch(instance.address("http"), "/")[0] == 200


def test_instances_register_and_leave(registering: Instance, upstreams: list[Named]) -> None:
    first, second = upstreams
    assert not answers(registering)
    one = register(registering, first)
    eventually(lambda: answers(registering) and first.answered, "the first instance")
    path = f"/instances/{one['id']}"
    eventually(
        lambda: registering.admin("GET", path)[1]["health"] == "healthy", "its health is written"
    )
    number = verb(registering, "register", "shop", url(second)).strip()
    eventually(lambda: answers(registering) and second.answered, "the second instance")
    assert registering.admin("DELETE", path, if_match="*")[0] == 204
    eventually(lambda: first.open_connections == 0, "the first one is drained")
    listed = verb(registering, "list")
    assert url(second) in listed
    assert url(first) not in listed
    second.close()
    eventually(
        lambda: registering.admin("GET", f"/instances/{number}")[1]["health"] == "unhealthy",
        "a dead instance is seen in its row",
    )


def test_who_sends_no_heartbeat_leaves(registering: Instance, upstreams: list[Named]) -> None:
    first, second = upstreams
    register(registering, first)
    mortal = register(registering, second, ttl_s=2)
    eventually(lambda: answers(registering) and second.answered, "both answer")
    eventually(lambda: second.open_connections == 0, "the silent one is out", 8)
    assert registering.admin("POST", f"/instances/{mortal['id']}/heartbeat")[0] == 200
    count = second.answered
    eventually(lambda: answers(registering) and second.answered > count, "it is back")


def test_an_outage_of_the_database_stops_nothing(
    registering: Instance, upstreams: list[Named], postgres_server: PostgresServer
) -> None:
    register(registering, upstreams[0], ttl_s=2)
    eventually(lambda: answers(registering), "it answers")
    postgres_server.stop()
    try:
        registering.wait_for_log("the 1 known before stay in use")
        assert answers(registering)
    finally:
        postgres_server.start()
    registering.wait_for_log("answers again")
    assert answers(registering), "nobody could send a heartbeat, so nobody was silent"
