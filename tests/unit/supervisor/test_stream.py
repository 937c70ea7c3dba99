"""The non-blocking stream."""

import selectors
import socket
from collections.abc import Iterator

import pytest

from gateway.supervisor.stream import Stream


class Pair:
    """A stream and the socket at its other end."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        ours, self.peer = socket.socketpair()
        self.peer.settimeout(5)
        self.received = bytearray()
        self.ends = 0
        self.stream = Stream(self.selector, ours, self.received.extend, self.ended)

    def ended(self) -> None:
        self.ends += 1

    def turn(self) -> None:
        for key, mask in self.selector.select(0.05):
            key.data(mask)


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.stream.close()
    pair.peer.close()
    pair.selector.close()


def test_what_the_kernel_does_not_take_waits_and_keeps_its_order(pair: Pair) -> None:
    data = bytes(range(256)) * 40_000  # 10 MB: far more than a socket's buffer
    pair.stream.send(data[:5_000_000])
    pair.stream.send(data[5_000_000:])
    got = bytearray()
    while len(got) < len(data):
        pair.turn()
        got += pair.peer.recv(1 << 20)
    assert got == data


def test_data_arrives(pair: Pair) -> None:
    pair.peer.sendall(b"hello")
    pair.turn()
    assert pair.received == b"hello"


def test_the_end_is_told_once(pair: Pair) -> None:
    pair.peer.close()
    pair.turn()
    pair.turn()
    assert pair.ends == 1
    pair.stream.send(b"to nobody")
    pair.stream.finish()
    assert pair.ends == 1


def test_finish_sends_the_rest_first(pair: Pair) -> None:
    pair.stream.send(bytes(3_000_000))
    pair.stream.finish()
    got = 0
    while piece := pair.peer.recv(1 << 20):
        got += len(piece)
        pair.turn()
    assert got == 3_000_000
    assert pair.ends == 1


def test_a_peer_that_resets_is_an_end(pair: Pair) -> None:
    pair.stream.send(bytes(3_000_000))
    pair.peer.close()
    pair.turn()
    assert pair.ends == 1
