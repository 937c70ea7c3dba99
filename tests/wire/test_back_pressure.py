"""Bodies larger than any buffer: a slow peer slows the other one, and memory stays flat."""

import socket
import threading
import time
from pathlib import Path
from typing import Any

from tests.servers.gateway import GatewayProcess
from tests.servers.upstream import OK, REQUEST, Do, UpstreamConnection

SIZE = 200 << 20
PIECE = bytes(1 << 20)
# One body may not cost more than this, whatever its length.
MOST_GROWTH = 16 << 20
# What the kernel may hold in the socket buffers of two connections (tcp_wmem, tcp_rmem: 4 + 6 MB).
MOST_IN_KERNEL = 40 << 20


def peak(gateway: GatewayProcess) -> int:
    """The largest resident size so far, in bytes."""
    for line in Path(f"/proc/{gateway.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM in /proc")


class Meter:
    """A step of a script that sends or receives SIZE bytes and counts as it goes."""

    def __init__(self) -> None:
        self.count = 0

    def send(self, connection: UpstreamConnection) -> None:
        while self.count < SIZE:
            connection.send(PIECE)
            self.count += len(PIECE)

    def receive(self, connection: UpstreamConnection) -> None:
        head_end = connection.received.index(b"\r\n\r\n") + 4
        self.count = len(connection.received) - head_end
        buffer = bytearray(1 << 20)
        while self.count < SIZE and (size := connection.socket.recv_into(buffer)):
            self.count += size


def stalls(meter: Meter, from_s: float = 0.5) -> bool:
    """Whether the sender came to a halt by itself, far from the end."""
    time.sleep(from_s)
    before = meter.count
    time.sleep(0.2)
    return meter.count == before < MOST_IN_KERNEL


def test_download_to_a_slow_reader(gateway_process: Any, scripted: Any) -> None:
    meter = Meter()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE
    running = gateway_process(to=scripted((*REQUEST, head, meter.send)))
    with running.connect(receive_buffer=1 << 16) as client:
        before = peak(running)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        received = len(client.recv_some())
        assert stalls(meter), f"the upstream could send {meter.count} bytes to a client that sleeps"
        buffer = bytearray(1 << 20)
        while size := client.socket.recv_into(buffer):
            received += size
            if received >= SIZE + len(head):
                break
        assert meter.count == SIZE
        assert peak(running) - before < MOST_GROWTH


def test_upload_to_a_slow_upstream(gateway_process: Any, scripted: Any) -> None:
    gate = threading.Event()
    meter = Meter()
    running = gateway_process(to=scripted((Do.HEAD, gate, meter.receive, OK)), limits={"body": 0})
    sent = Meter()

    def upload(connected: socket.socket) -> None:
        while sent.count < SIZE:
            connected.sendall(PIECE)
            sent.count += len(PIECE)

    with running.connect(timeout_s=20.0) as client:
        before = peak(running)
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % SIZE)
        sender = threading.Thread(target=upload, args=(client.socket,))
        sender.start()
        stalled = stalls(sent)
        gate.set()
        sender.join()
        assert stalled, "the client could send on to an upstream that sleeps"
        assert client.recv_response().status == 200
        assert meter.count == SIZE
        assert peak(running) - before < MOST_GROWTH


def test_slow_reader_does_not_slow_the_others(gateway: Any, echo: Any, scripted: Any) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n"
    running = gateway(to=scripted((*REQUEST, head, bytes(20_000_000)), (*[*REQUEST, OK] * 100,)))
    with running.connect(receive_buffer=1 << 14) as slow, running.connect() as other:
        slow.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        slow.recv_some()
        begin = time.monotonic()
        assert [other.get().status for _ in range(50)] == [200] * 50
        assert time.monotonic() - begin < 8
