"""Peers that read or write slowly, or not at all: nobody is cut, nothing piles up."""

import contextlib
import socket
import threading
import time
from typing import Any

import pytest

from tests.servers.gateway import GatewayThread
from tests.servers.upstream import OK, REQUEST, Do, UpstreamConnection

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
# A closed connection lingers this long (LINGER_MS in cext/downstream.pyx): answers may take longer.
LINGER_S = 2.0
# What the kernel may hold between two peers whose buffers tune themselves (tcp_wmem + tcp_rmem).
MOST_IN_KERNEL = 12 << 20


def read_slowly(client: Any, running: GatewayThread, for_s: float) -> bytes:
    """All that comes, in large sips for `for_s` seconds once the gateway has written its answer."""
    received = b""
    slow_until = None
    while data := client.socket.recv(1 << 16 if slow_until else 1 << 13):
        received += data
        if slow_until is None and running.exchanges == 0:
            slow_until = time.monotonic() + for_s
        if slow_until is not None and time.monotonic() < slow_until:
            time.sleep(0.4)
    return received


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_last_answer_arrives_whole_at_a_slow_reader(
    gateway: Any, scripted: Any, version: bytes
) -> None:
    size = 400_000
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    running = gateway(to=scripted((*REQUEST, answer)))
    running.limit_buffers(send=1 << 15)
    with running.connect(receive_buffer=1 << 14) as client:
        client.send(b"GET / HTTP/" + version + b"\r\nHost: a\r\nConnection: close\r\n\r\n")
        received = read_slowly(client, running, LINGER_S + 0.5)
    assert len(received.partition(b"\r\n\r\n")[2]) == size


def test_upload_to_a_new_connection_that_is_not_read(gateway: Any, scripted: Any) -> None:
    gate = threading.Event()
    upstream = scripted((gate,))
    upstream.limit_receive_buffer(1 << 11, segment=536)  # the kernel takes half of the first send
    running = gateway(to=upstream, limits={"body": 0})
    running.limit_buffers(receive=1 << 20)
    piece = bytes(1 << 20)
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000000\r\n\r\n"
    sent = 0
    with running.connect(timeout_s=0.5) as client:
        assert upstream.wait_for(lambda: running.connections == 1)
        # While the loop sleeps, one whole read of uvloop's (256 KiB) gathers.
        sleeper = threading.Thread(target=running.run, args=(lambda: time.sleep(0.2),))
        sleeper.start()
        time.sleep(0.05)
        client.send(head + piece[:255_900])
        sleeper.join()
        time.sleep(0.1)
        with contextlib.suppress(TimeoutError):
            while sent < 4 * MOST_IN_KERNEL:
                sent += client.socket.send(piece)
    gate.set()
    assert sent < MOST_IN_KERNEL, "the gateway reads on for an upstream that does not"


@pytest.mark.parametrize("answers", [440, 455, 470, 500])
def test_pipelined_answers_and_a_large_one_to_a_client_that_does_not_read(
    gateway: Any, scripted: Any, answers: int
) -> None:
    """The small answers fill the buffers to the brim; the large one must not come on top."""
    size = 3 * MOST_IN_KERNEL
    sent = 0

    def send_body(connection: UpstreamConnection) -> None:
        nonlocal sent
        piece = bytes(1 << 18)
        while sent < size:
            connection.send(piece)
            sent += len(piece)

    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
    running = gateway(to=scripted((*REQUEST, head, send_body)))
    running.limit_buffers(send=11_000)
    with running.connect(receive_buffer=1 << 12) as client:
        client.send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n" * answers + GET)
        time.sleep(0.4)
        stalled_at = sent
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        for _ in range(answers):
            assert b"200 OK" in client.recv_until(b'"}'), "an answer of /health is not whole"
        assert stalled_at < MOST_IN_KERNEL
        assert len(client.recv_until(b"\r\n\r\n")) > 0
        received = 0
        while received < size:
            received += len(client.recv_some())
        assert received == size


def test_upload_after_the_head_of_the_answer_is_not_idle(gateway: Any, scripted: Any) -> None:
    early = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    upstream = scripted((Do.HEAD, early, Do.BODY, b"ok"))
    with gateway(to=upstream, timeouts={"idle": 0.6}).connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 24000\r\n\r\n")
        for _ in range(24):
            client.send(bytes(1000))
            time.sleep(0.06)
        response = client.recv_response("POST")
    assert response.complete
    assert response.body == b"ok"
    assert len(upstream.requests[0].body) == 24000


def test_slow_leave_to_send_a_body_is_not_the_client_s_fault(gateway: Any, scripted: Any) -> None:
    go = b"HTTP/1.1 100 Continue\r\n\r\n"
    upstream = scripted((Do.HEAD, 1.0, go, Do.BODY, OK))
    with gateway(to=upstream, limits={"body_timeout": 0.4}).connect() as client:
        client.send(
            b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        )
        assert client.recv_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        client.send(b"abcd")
        assert client.recv_response("PUT").status == 200
