"""What the data plane does with sockets itself: names, addresses, a shortage of descriptors."""

import os
import resource
import time
from pathlib import Path
from typing import Any

from tests.servers.gateway import GatewayProcess
from tests.servers.plans import endpoint, plan, service, unix_endpoint
from tests.wire.errors import check_error

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def cpu_s(gateway: GatewayProcess) -> float:
    fields = Path(f"/proc/{gateway.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_name_is_looked_up_and_its_addresses_tried_in_turn(gateway: Any, echo: Any) -> None:
    """The first of localhost is often ::1, where nobody listens."""
    named = endpoint(("localhost", echo.address[1]))
    with gateway(plan([service(endpoints=[named])])).connect() as client:
        assert [client.get().status for _ in range(3)] == [200] * 3
    assert len(echo.connections) == 1


def test_an_unknown_name(gateway: Any) -> None:
    unknown = endpoint(("nobody.invalid", 80))
    with gateway(plan([service(endpoints=[unknown])])).connect() as client:
        response = client.get()
        assert response.status in (502, 504)  # 504: a resolver that does not answer in time


def test_a_path_too_long_for_a_unix_socket(gateway: Any) -> None:
    long = unix_endpoint("/" + "x" * 200)
    with gateway(plan([service(endpoints=[long])])).connect() as client:
        check_error(client.get(), 502, "upstream_connect_failed")


def test_a_shortage_of_descriptors_neither_spins_nor_lasts(gateway_process: Any, echo: Any) -> None:
    running = gateway_process(to=echo)
    with running.connect() as client:
        assert client.get().status == 200
        soft, hard = resource.prlimit(running.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(running.pid, resource.RLIMIT_NOFILE, (running.open_files(), hard))
        with running.connect() as late:
            late.send(GET)
            before = cpu_s(running)
            assert late.is_open(wait_s=0.5), "the kernel keeps it in its queue"
            assert cpu_s(running) - before < 0.2, "the worker spins"
            assert client.get().status == 200, "the open ones are served"
            resource.prlimit(running.pid, resource.RLIMIT_NOFILE, (soft, hard))
            assert late.recv_response().status == 200


def test_what_is_queued_is_served_after_the_end_of_listening(gateway: Any, echo: Any) -> None:
    running = gateway(to=echo)
    with running.connect() as served:
        assert served.get().status == 200
        clients = []

        def connect_and_stop() -> None:
            # In the worker's thread: it can accept none of them before.
            for _ in range(100):
                clients.append(running.connect())
                clients[-1].send(GET)
            running.worker.stop_listening()

        running.run(connect_and_stop)
        assert [client.recv_response().status for client in clients] == [200] * 100
        with running.connect() as late:
            late.send(GET)
            assert late.is_open(wait_s=0.1), "nobody accepts any more"
        for client in clients:
            client.close()


def test_an_end_right_behind_the_bytes_is_seen(gateway: Any, echo: Any) -> None:
    """Bytes and FIN may be one event; there is no second one for the FIN."""
    running = gateway(to=echo)
    for _ in range(50):
        with running.connect() as client:
            client.send(GET)
            client.half_close()
            assert client.recv_response().status == 200
            client.recv_eof()
    deadline = time.monotonic() + 2.0
    while running.connections and time.monotonic() < deadline:
        time.sleep(0.01)
    assert running.connections == 0
