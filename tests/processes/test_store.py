"""A whole gateway and its store: what is stored is live, and an outage stops nothing."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.processes.instance import GATEWAY, Instance, connection, eventually, fetch
from tests.servers.postgres import PostgresServer
from tests.servers.upstream import EchoUpstream

SHOP = {"name": "shop", "definition": {"path": "/shop", "service": "extra", "auth": "none"}}


@pytest.fixture
def on_postgres(
    make_instance: Callable[..., Instance], postgres_server: PostgresServer, echo: EchoUpstream
) -> Instance:
    host, port = echo.address
    made = make_instance(
        store_url=postgres_server.database(), upstream=f"{host}:{port}", route="/file"
    )
    made.start(data_plane="real")
    made.admin_token()
    return made


def add_shop(instance: Instance, upstream: str) -> None:
    service = {"name": "extra", "definition": {"endpoints": [f"http://{upstream}"]}}
    assert instance.admin("POST", "/services", service)[0] == 201
    status, made = instance.admin("POST", "/routes", SHOP)
    assert (status, made["state"]) == (201, "live")


def statuses(instance: Instance, path: str, connections: int = 12) -> set[int]:
    """Of many connections, so that every worker is asked."""
    return {fetch(instance.address("http"), path)[0] for _ in range(connections)}


def test_a_route_is_live_on_every_worker_when_it_is_answered(
    make_instance: Callable[..., Instance], echo: EchoUpstream
) -> None:
    host, port = echo.address
    instance = make_instance(upstream=f"{host}:{port}", route="/file")
    instance.start(data_plane="real")
    instance.admin_token()
    assert statuses(instance, "/shop") == {404}
    add_shop(instance, f"{host}:{port}")
    assert statuses(instance, "/shop") == {200}
    assert statuses(instance, "/file") == {200}
    assert instance.admin("DELETE", "/routes/shop", if_match='"1"')[0] == 204
    assert statuses(instance, "/shop") == {404}


def test_a_change_by_the_command_line_is_seen(instance: Instance) -> None:
    instance.admin_token()
    made = subprocess.run(
        [*GATEWAY, "users", "create", "ann@example.org", "--password-stdin",
         "-c", str(instance.config)],
        input="correct-Horse7!\n", text=True, capture_output=True, timeout=60,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    _, users = instance.admin("GET", "/users")
    assert [user["email"] for user in users["items"]] == ["ann@example.org"]


def test_a_bad_row_is_put_in_quarantine_and_the_rest_serves(on_postgres: Instance) -> None:
    statement = (
        "INSERT INTO gateway_routes (name, path_pattern, service_name, method, auth_required)"
        " VALUES ('bad', 'nowhere', 'web', 'GET', false), ('good', '/good', 'web', 'GET', false)"
    )
    url = str(on_postgres.settings["store_url"])
    execute(url, statement)
    execute(url, "UPDATE store_version SET version = 9, plan = 9")
    eventually(lambda: statuses(on_postgres, "/good", 4) == {200}, "the good row serves")
    _, bad = on_postgres.admin("GET", "/routes/bad")
    assert bad["state"] == "quarantined"
    assert "path" in bad["problem"]
    assert "route bad of the store is in quarantine" in on_postgres.log()
    _, _, metrics = fetch(on_postgres.address("status"), "/metrics")
    assert b'gateway_store_quarantined_rows{kind="route"} 1\n' in metrics


def test_an_outage_stops_nothing_and_ends_by_itself(
    on_postgres: Instance, postgres_server: PostgresServer, echo: EchoUpstream
) -> None:
    host, port = echo.address
    add_shop(on_postgres, f"{host}:{port}")
    postgres_server.stop()
    try:
        assert statuses(on_postgres, "/shop") == {200}
        eventually(lambda: store_up(on_postgres) == 0, "the metric tells of the outage")
        status, answer = on_postgres.admin("GET", "/users")
        assert (status, answer["code"]) == (503, "store_unavailable")
        assert "cannot be reached" in answer["error"]
        assert on_postgres.verb("reload").returncode == 0
        assert statuses(on_postgres, "/shop") == {200}
    finally:
        postgres_server.start()
    eventually(lambda: store_up(on_postgres) == 1, "the metric tells of the recovery")
    on_postgres.wait_for_log("the store is back")
    assert on_postgres.admin("GET", "/users")[0] == 200
    assert on_postgres.admin("DELETE", "/routes/shop", if_match="*")[0] == 204
    assert statuses(on_postgres, "/shop") == {404}


def test_a_cold_start_without_the_database_serves_what_was_last_known(
    on_postgres: Instance, postgres_server: PostgresServer, echo: EchoUpstream
) -> None:
    host, port = echo.address
    add_shop(on_postgres, f"{host}:{port}")
    assert on_postgres.verb("stop").returncode == 0
    on_postgres.wait()
    postgres_server.stop()
    try:
        on_postgres.start(data_plane="real")
        assert statuses(on_postgres, "/shop") == {200}
        assert on_postgres.admin("GET", "/users")[0] == 503
    finally:
        postgres_server.start()
    eventually(lambda: on_postgres.admin("GET", "/users")[0] == 200, "the store is opened")


def test_two_gateways_hear_of_each_others_changes(
    make_instance: Callable[..., Instance], postgres_server: PostgresServer, echo: EchoUpstream
) -> None:
    host, port = echo.address
    url = postgres_server.database()
    one, two = (
        make_instance(store_url=url, upstream=f"{host}:{port}", route="/file", workers=1)
        for _ in range(2)
    )
    one.start(data_plane="real")
    token = one.admin_token()
    two.start(data_plane="real")
    two.wait_for_log("the store is open")
    assert "admin token" not in two.log(), "there is one first token"
    add_shop(one, f"{host}:{port}")
    eventually(lambda: statuses(two, "/shop", 1) == {200}, "the other one serves it")
    with connection(two.address("admin")) as link:
        link.request("GET", "/api/v1/routes/shop", headers={"authorization": f"Bearer {token}"})
        assert json.loads(link.getresponse().read())["state"] == "live"


def test_workers_have_no_sqlalchemy(instance: Instance) -> None:
    instance.admin_token()
    for pid in instance.worker_pids():
        maps = Path(f"/proc/{pid}/maps").read_text()
        assert "sqlalchemy" not in maps
        assert "greenlet" not in maps


def test_a_store_that_cannot_be_made_stops_nothing(
    make_instance: Callable[..., Instance], tmp_path: Path, echo: EchoUpstream
) -> None:
    host, port = echo.address
    instance = make_instance(
        store_url=f"sqlite:///{tmp_path}/none/gateway.db", upstream=f"{host}:{port}"
    )
    instance.start(data_plane="real")
    assert statuses(instance, "/", 2) == {200}
    instance.wait_for_log("none does not exist; make it")
    assert store_up(instance) == 0
    (tmp_path / "none").mkdir()
    assert instance.admin_token()
    eventually(lambda: store_up(instance) == 1, "the store is made")


def store_up(instance: Instance) -> int:
    _, _, metrics = fetch(instance.address("status"), "/metrics")
    return int(metrics.partition(b"\ngateway_store_up ")[2].partition(b"\n")[0])


def execute(url: str, statement: str) -> None:
    """In a process of its own: this one may have a loop that is running."""
    code = (
        "import asyncio, asyncpg, sys\n"
        "async def main():\n"
        "    c = await asyncpg.connect(sys.argv[1])\n"
        "    await c.execute(sys.argv[2])\n"
        "    await c.close()\n"
        "asyncio.run(main())"
    )
    arguments: list[Any] = [sys.executable, "-c", code, url, statement]
    subprocess.run(arguments, check=True, timeout=30)
