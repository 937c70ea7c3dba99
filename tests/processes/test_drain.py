"""The end: finish what runs, refuse what is new, leave in order."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable

from tests.processes.instance import Instance, connection, eventually, fetch


class SlowRequest:
    """A request that takes a while, from another thread."""

    def __init__(self, instance: Instance, seconds: float) -> None:
        self.status: int | None = None
        self.address = instance.address("http")
        self.path = f"/slow/{seconds}"
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        eventually(
            lambda: sum(worker["exchanges"] for worker in instance.status()["workers"]) == 1,
            "the request is in flight",
        )

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            self.status = fetch(self.address, self.path)[0]

    def result(self) -> int | None:
        self.thread.join(20)
        return self.status


def refused(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError:
        return True
    return False


def test_term_finishes_what_runs_and_exits_with_0(instance: Instance) -> None:
    request = SlowRequest(instance, 2)
    status_address = instance.address("status")
    instance.signal(signal.SIGTERM)
    eventually(lambda: refused(request.address), "new connections are refused")
    assert fetch(status_address, "/readyz")[0] == 503
    assert instance.status()["state"] == "draining"
    assert request.result() == 200
    assert instance.wait() == 0
    assert not (instance.run_dir / "control.sock").exists()


def test_an_idle_connection_does_not_hold_up_the_end(instance: Instance) -> None:
    with connection(instance.address("http")) as link:
        link.request("GET", "/")
        link.getresponse().read()
        began = time.monotonic()
        instance.signal(signal.SIGINT)
        assert instance.wait() == 0
        assert time.monotonic() - began < 10


def test_connections_in_the_queue_are_served_before_the_end(
    make_instance: Callable[..., Instance],
) -> None:
    instance = make_instance(workers=1)
    instance.start()
    address = instance.address("http")
    with contextlib.ExitStack() as stack:
        pid = instance.worker_pids()[0]
        os.kill(pid, signal.SIGSTOP)
        waiting = [
            stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(5)
        ]
        for sock in waiting:
            sock.sendall(b"GET /slow/0.5 HTTP/1.1\r\nhost: a\r\n\r\n")
        instance.signal(signal.SIGTERM)
        instance.wait_for_log("draining")
        os.kill(pid, signal.SIGCONT)
        answers = [sock.recv(1000) for sock in waiting]
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
    assert instance.wait() == 0


def test_a_second_int_ends_at_once(instance: Instance) -> None:
    request = SlowRequest(instance, 8)
    instance.signal(signal.SIGINT)
    instance.wait_for_log("draining")
    began = time.monotonic()
    instance.signal(signal.SIGINT)
    assert instance.wait() == 1
    assert time.monotonic() - began < 6
    assert request.result() is None


def test_what_does_not_finish_is_cut_off_at_the_timeout(
    make_instance: Callable[..., Instance],
) -> None:
    instance = make_instance(drain_timeout="1s")
    instance.start()
    request = SlowRequest(instance, 30)
    began = time.monotonic()
    instance.signal(signal.SIGTERM)
    assert instance.wait() == 0
    assert 0.9 < time.monotonic() - began < 15
    assert request.result() is None
    assert "cut off at the end of the drain: 1 request" in instance.log()


def test_the_verb_drain_shows_progress_and_returns_when_all_is_gone(instance: Instance) -> None:
    request = SlowRequest(instance, 2)
    done = instance.verb("drain")
    assert done.returncode == 0
    assert "waiting for 1 request in" in done.stderr
    assert done.stdout == "drained and stopped\n"
    assert instance.wait() == 0
    assert request.result() == 200


def test_the_verb_stop_waits_for_the_end(instance: Instance) -> None:
    done = instance.verb("stop")
    assert (done.returncode, done.stdout) == (0, "stopped\n")
    assert instance.process is not None
    instance.process.wait(1)
    instance.start()  # nothing is left of it: lock, ports and socket are free


def test_a_reload_while_draining_is_refused(instance: Instance) -> None:
    request = SlowRequest(instance, 2)
    instance.signal(signal.SIGTERM)
    instance.wait_for_log("draining")
    result = instance.ask("reload")
    assert not result["ok"]
    assert "draining" in result["error"]
    done = instance.verb("health")
    assert (done.returncode, done.stderr) == (1, "not healthy: draining\n")
    assert request.result() == 200
