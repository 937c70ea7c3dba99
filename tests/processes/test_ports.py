"""The status port and the admin port."""

import contextlib
import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes.instance import Instance, eventually, fetch, fetch_json
from tests.processes.standin import DIE_AT_START

SENT = 60_000_000


def peak_memory(pid: int) -> int:
    """Bytes that were ever resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health", "/version"])
def test_probes_answer(instance: Instance, path: str) -> None:
    assert fetch(instance.address("status"), path)[0] == 200
    status, headers, body = fetch(instance.address("status"), path, method="HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 0


def test_health_is_the_status_document(instance: Instance) -> None:
    health = fetch_json(instance.address("status"), "/health")
    assert health["state"] == "running"
    assert [worker["up"] for worker in health["workers"]] == [True, True]
    assert health["workers"][0]["pid"] == instance.worker_pids()[0]


def test_readyz_verbose_lists_the_checks(instance: Instance) -> None:
    body = fetch(instance.address("status"), "/readyz?verbose")[2].decode()
    assert "[+] not draining" in body
    assert "workers ready: 2 of 2" in body


def test_readyz_is_503_without_a_worker(
    make_instance: Callable[..., Instance], tmp_path: Path
) -> None:
    instance = make_instance()
    flag = tmp_path / "die"
    instance.environment[DIE_AT_START] = str(flag)
    instance.start()
    flag.touch()
    for pid in instance.worker_pids():
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not instance.ask("health")["ok"], "no worker is ready")
    assert fetch(instance.address("status"), "/readyz")[0] == 503
    assert fetch(instance.address("status"), "/livez")[0] == 200
    done = instance.verb("health")
    assert (done.returncode, done.stderr) == (1, "not healthy: no worker is ready\n")


def test_metrics_count_what_the_processes_did(instance: Instance) -> None:
    instance.ask("reload")
    instance.write_config("nonsense: 1\n")
    instance.ask("reload")
    status, headers, body = fetch(instance.address("status"), "/metrics")
    lines = body.decode().splitlines()
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "gateway_reloads_total 1" in lines
    assert "gateway_reload_failures_total 1" in lines
    assert "gateway_last_reload_successful 0" in lines
    assert 'gateway_worker_up{worker="1"} 1' in lines


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8007", "localhost:evil.example"])
def test_the_status_port_on_a_loopback_refuses_foreign_hosts(instance: Instance, host: str) -> None:
    status, _, body = fetch(instance.address("status"), "/health", Host=host)
    assert (status, b"workers" in body) == (403, False)
    assert fetch(instance.address("status"), "/health", Host="localhost:9")[0] == 200


def test_the_status_port_is_read_only(instance: Instance) -> None:
    status, headers, _ = fetch(instance.address("status"), "/livez", method="POST")
    assert (status, headers["allow"]) == (405, "GET, HEAD")
    assert fetch(instance.address("status"), "/nothing")[0] == 404


@pytest.mark.parametrize("name", ["status", "admin"])
@pytest.mark.parametrize("field", [b"A: b\r\n", b"x"], ids=["fields", "one field"])
def test_an_endless_head_is_431_and_costs_no_memory(
    instance: Instance, name: str, field: bytes
) -> None:
    pid = instance.status()["control"]["pid"]
    instance.admin("GET", "/config")  # everything is loaded
    before = peak_memory(pid)
    with socket.create_connection(instance.address(name), timeout=10) as link:
        with contextlib.suppress(ConnectionError):
            link.sendall(
                b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + field * (SENT // len(field))
            )
        assert link.recv(13) == b"HTTP/1.1 431 "
    assert peak_memory(pid) - before < SENT / 8


def test_admin_shows_what_is_in_force(instance: Instance) -> None:
    _, routes = instance.admin("GET", "/routes")
    assert routes["items"][0]["definition"]["path"] == "/{path...}"
    _, services = instance.admin("GET", "/services")
    assert services["items"][0]["definition"]["endpoints"][0]["url"] == "http://127.0.0.1:9"
    assert instance.admin("GET", "/config")[1]["config"]["server"]["workers"] == 2


def test_admin_shows_nothing_without_a_token(instance: Instance) -> None:
    status, _, body = fetch(instance.address("admin"), "/api/v1/config")
    assert status in (401, 503)  # 503 until the store is open
    assert b"workers" not in body


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8001", "127.0.0.1:evil.example", "127.0.0.2", "", "[::1]"],
)
def test_admin_refuses_foreign_hosts(instance: Instance, host: str) -> None:
    status, _, body = fetch(instance.address("admin"), "/api/v1/config", Host=host)
    assert status in (400, 403)
    assert b"config" not in body


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "LOCALHOST:8001"])
def test_admin_answers_to_its_own_names(instance: Instance, host: str) -> None:
    assert instance.admin("GET", "/config", Host=host)[0] == 200


def test_the_verbs_status_and_health(instance: Instance) -> None:
    text = instance.verb("status").stdout
    assert "worker 1" in text
    assert str(instance.pid) in text
    assert json.loads(instance.verb("status", "--json").stdout)["pid"] == instance.pid
    done = instance.verb("health")
    assert (done.returncode, done.stdout) == (0, "healthy\n")
