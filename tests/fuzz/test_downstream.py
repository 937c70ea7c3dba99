"""Whatever bytes a client sends: it is answered or closed, and the next client is served.

What does go upstream must be what h11, a parser of other people's making, reads in the same bytes.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.mutation import FUZZ, mutated, seeds
from tests.servers.gateway import GatewayThread
from tests.servers.plans import plan, service
from tests.servers.upstream import EchoUpstream, Request

Message = tuple[str, bytes]  # method, body


class FuzzedUpstream(EchoUpstream):
    def __init__(self) -> None:
        self.arrived: list[Message] = []
        super().__init__()

    def answer(self, request: Request) -> bytes:
        self.arrived.append((request.method, request.body))
        return super().answer(request)


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[GatewayThread, FuzzedUpstream]]:
    upstream = FuzzedUpstream()
    # Every wait is short, so that "never answered" is found quickly.
    limits = {"head_timeout": 1.0, "body_timeout": 1.0, "idle_timeout": 1.0, "head": 4096}
    gateway = GatewayThread(plan([service(upstream.address)], limits=limits), access_log=False)
    yield gateway, upstream
    gateway.close()
    upstream.close()


@FUZZ
@given(data=mutated(seeds("framing", "request")), cut=st.integers(0, 1500))
def test_mutated_requests(pair: Any, data: bytes, cut: int) -> None:
    gateway, upstream = pair
    _check(gateway, upstream, data, cut)


@FUZZ
@given(data=st.binary(max_size=300), cut=st.integers(0, 300))
def test_random_bytes(pair: Any, data: bytes, cut: int) -> None:
    gateway, upstream = pair
    _check(gateway, upstream, data, cut)


def _check(gateway: GatewayThread, upstream: FuzzedUpstream, data: bytes, cut: int) -> None:
    upstream.arrived.clear()
    with gateway.connect() as client:
        client.try_send(data[:cut])
        if client.try_send(data[cut:]):
            _half_close(client)
        client.recv_all()  # TimeoutError: neither answered nor closed
    arrived = list(upstream.arrived)
    assert upstream.faults == [], "bytes that are no HTTP went upstream"
    assert _is_subsequence(arrived, _as_h11_reads(data)), "h11 reads other requests in these bytes"
    with gateway.connect() as bystander:
        assert bystander.get("/bystander").status == 200


def _half_close(client: Any) -> None:
    with contextlib.suppress(OSError):  # refused and closed already
        client.half_close()


def _is_subsequence(part: list[Message], whole: list[Message]) -> bool:
    """In order, with gaps: the gateway may refuse what h11 accepts, but never the reverse."""
    rest = iter(whole)
    return all(message in rest for message in part)


def _as_h11_reads(data: bytes) -> list[Message]:
    messages: list[Message] = []
    while data:
        # RFC 9112 §2.2 allows an empty line in front of a request; h11 refuses it.
        data = data.removeprefix(b"\r\n")
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        try:
            parser.receive_data(data)
            message = _read_one(parser)
        except h11.RemoteProtocolError:
            break
        if message is None:
            break
        messages.append(message)
        data = parser.trailing_data[0]
    return messages


def _read_one(parser: h11.Connection) -> Message | None:
    method, body = "", b""
    while True:
        match parser.next_event():
            case h11.Request(method=name):
                method = name.decode()
            case h11.Data(data=piece):
                body += bytes(piece)
            case h11.EndOfMessage():
                return method, body
            case _:
                return None
