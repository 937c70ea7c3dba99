"""The processes with the compiled data plane and a real upstream."""

import http.server
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.processes.instance import Instance, eventually, fetch, fetch_json


class Slow(http.server.BaseHTTPRequestHandler):
    """Answers ``/SECONDS`` after that time."""

    def do_GET(self) -> None:
        time.sleep(float(self.path.removeprefix("/")))
        body = b"done"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def upstream() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def instance(make_instance: Callable[..., Instance], upstream: str) -> Instance:
    made = make_instance(upstream=upstream)
    made.start(data_plane="compiled")
    return made


class Request(threading.Thread):
    def __init__(self, address: tuple[str, int], path: str) -> None:
        super().__init__()
        self.address, self.path = address, path
        self.answer: tuple[int, bytes] | None = None
        self.start()

    def run(self) -> None:
        status, _, body = fetch(self.address, self.path)
        self.answer = (status, body)


def in_flight(instance: Instance) -> int:
    return sum(worker["exchanges"] for worker in instance.status()["workers"])


def test_what_runs_is_finished_over_a_reload_and_a_drain(instance: Instance) -> None:
    request = Request(instance.address("http"), "/3")
    eventually(lambda: in_flight(instance) == 1, "the request is in flight")
    assert instance.ask("reload")["generation"] == 2
    assert [worker["generation"] for worker in instance.status()["workers"]] == [2, 2]
    instance.signal(signal.SIGTERM)
    request.join(10)
    assert request.answer == (200, b"done")
    assert instance.wait() == 0
    assert "cut off" not in instance.log()


def test_a_route_that_a_reload_adds_is_served(instance: Instance) -> None:
    address = instance.address("http")
    instance.config.write_text(
        instance.config.read_text().replace('"/{path...}"', '"/new/{path...}", strip_prefix: /new')
    )
    assert fetch(address, "/new/0")[0] != 200
    assert instance.ask("reload")["ok"]
    assert [fetch(address, "/new/0")[0] for _ in range(8)] == [200] * 8
    assert [fetch(address, "/0")[0] for _ in range(8)] == [404] * 8


def test_a_killed_worker_is_replaced(instance: Instance) -> None:
    address = instance.address("http")
    for pid in instance.worker_pids():
        os.kill(pid, signal.SIGKILL)
    assert [fetch(address, "/0")[0] for _ in range(8)] == [200] * 8
    assert [worker["restarts"] for worker in instance.status()["workers"]] == [1, 1]


def test_a_stopped_worker_is_noticed(instance: Instance) -> None:
    pid = instance.worker_pids()[0]
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: instance.worker_pids()[0] not in (None, pid), "a successor", deadline_s=25)


def test_requests_are_counted(instance: Instance) -> None:
    address = instance.address("http")
    for _ in range(5):
        fetch(address, "/0")
    metrics = fetch(instance.address("status"), "/metrics")[2].decode()
    count = [line for line in metrics.splitlines() if line.startswith("gateway_requests_total{")]
    assert len(count) == 1
    assert 'route="/{path...}"' in count[0]
    assert count[0].endswith(" 5")


def test_the_access_log_has_the_requests(
    make_instance: Callable[..., Instance], upstream: str
) -> None:
    instance = make_instance(upstream=upstream, access_log="stdout")
    instance.start(data_plane="compiled")
    fetch(instance.address("http"), "/0")
    eventually(lambda: '"/0"' in instance.stdout.read_text(), "the request in the access log")


def test_the_end_loses_no_line_of_the_access_log(
    make_instance: Callable[..., Instance], upstream: str
) -> None:
    instance = make_instance(upstream=upstream, access_log="stdout")
    instance.start(data_plane="compiled")
    for _ in range(3):
        fetch(instance.address("http"), "/0")
    instance.signal(signal.SIGTERM)
    assert instance.wait() == 0
    assert instance.stdout.read_text().count('"path":"/0"') == 3
    assert "SIGKILL" not in instance.log()


def test_an_idle_worker_takes_little_memory(instance: Instance) -> None:
    for pid in instance.worker_pids():
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
        assert int(pages) * os.sysconf("SC_PAGE_SIZE") <= 60e6


def test_the_proxy_answers_for_its_own_health(instance: Instance) -> None:
    assert fetch_json(instance.address("http"), "/health") == {"status": "ok"}
