"""Death, hanging and crash loops of the children; death of the supervisor."""

import errno
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes.instance import Instance, eventually, fetch, fetch_json, is_alive
from tests.processes.standin import DIE_AT_START


def successor(instance: Instance, slot: int, pid: int) -> bool:
    worker = instance.status()["workers"][slot]
    return worker["up"] and worker["pid"] not in (None, pid)


def test_a_killed_worker_is_replaced(instance: Instance) -> None:
    pid = instance.worker_pids()[0]
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: successor(instance, 0, pid), "a successor")
    print(f"\na successor after {time.monotonic() - began:.2f} s")
    worker = instance.status()["workers"][0]
    assert worker["restarts"] == 1
    instance.wait_for_log(f"worker 0 (pid {pid}) was killed by SIGKILL")


def test_no_connection_is_refused_while_a_worker_is_dead(
    make_instance: Callable[..., Instance],
) -> None:
    instance = make_instance(workers=1)
    instance.start()
    address = instance.address("http")
    pid = instance.worker_pids()[0]
    os.kill(pid, signal.SIGSTOP)  # what connects now waits in the queue of its socket
    with socket.create_connection(address, timeout=10) as waiting:
        waiting.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        os.kill(pid, signal.SIGKILL)
        assert waiting.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_killed_control_process_is_replaced_and_requests_go_on(instance: Instance) -> None:
    pid = instance.status()["control"]["pid"]
    os.kill(pid, signal.SIGKILL)
    assert fetch(instance.address("http"), "/")[0] == 200
    # The supervisor keeps the socket: this request waits for the successor.
    assert fetch(instance.address("status"), "/readyz")[0] == 200
    control = instance.status()["control"]
    assert control["restarts"] == 1
    assert control["pid"] != pid
    assert instance.ask("reload")["ok"]


def test_children_ignore_the_signals_that_a_terminal_sends_to_all(instance: Instance) -> None:
    pids = [*instance.worker_pids(), instance.status()["control"]["pid"]]
    for pid in pids:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            os.kill(pid, number)
    time.sleep(0.3)
    assert [*instance.worker_pids(), instance.status()["control"]["pid"]] == pids


def test_a_crash_loop_backs_off_and_is_shown(
    make_instance: Callable[..., Instance], tmp_path: Path
) -> None:
    instance = make_instance()
    flag = tmp_path / "die"
    instance.environment[DIE_AT_START] = str(flag)
    instance.start()
    flag.touch()
    os.kill(instance.worker_pids()[0], signal.SIGKILL)
    eventually(lambda: instance.status()["workers"][0]["state"] == "backing off", "a wait")
    worker = instance.status()["workers"][0]
    assert worker["restarts"] >= 3
    assert worker["retry_in_s"] <= 10
    instance.wait_for_log("worker 0 died 3 times within seconds of its start")
    address = instance.address("http")
    for _ in range(8):
        assert fetch(address, "/")[0] == 200, "new connections go to the worker that is alive"
    flag.unlink()
    eventually(lambda: instance.status()["workers"][0]["up"], "worker 0 is back")
    pids = {fetch_json(address, "/")["pid"] for _ in range(60)}
    assert len(pids) == 2, "its socket takes connections again"


@pytest.mark.parametrize("name", ["worker", "control"])
def test_a_process_that_hangs_is_replaced(instance: Instance, name: str) -> None:
    def place() -> dict[str, object]:
        status = instance.status()
        place: dict[str, object] = status["control"] if name == "control" else status["workers"][0]
        return place

    pid = place()["pid"]
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: place()["up"] and place()["pid"] != pid, "a successor", deadline_s=25)
    assert not is_alive(pid)
    instance.wait_for_log("gives no sign of life")


def test_nothing_survives_the_supervisor(instance: Instance) -> None:
    pids = [*instance.worker_pids(), instance.status()["control"]["pid"]]
    addresses = [instance.address(name) for name in ("http", "status", "admin")]
    os.kill(pids[0], signal.SIGSTOP)  # even if it cannot read the end of its channel
    instance.signal(signal.SIGKILL)
    instance.wait()
    eventually(lambda: not any(is_alive(pid) for pid in pids), "no orphans", deadline_s=2)
    # A process is a zombie before the last of its threads has let go of the sockets.
    eventually(lambda: not any(map(is_listening, addresses)), "free ports", deadline_s=2)


def is_listening(address: tuple[str, int]) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(address) != errno.ECONNREFUSED


def test_a_new_instance_starts_over_the_remains_of_a_killed_one(instance: Instance) -> None:
    instance.signal(signal.SIGKILL)
    instance.wait()
    instance.start()
    assert instance.status()["healthy"]
