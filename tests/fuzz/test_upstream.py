"""Whatever bytes an upstream sends: the client is answered or cut off, and the next one is served.

What the client gets as whole must be what h11, a parser of other people's making, reads in them.
"""

import re
from collections.abc import Iterator
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.mutation import FUZZ, mutated, seeds
from tests.servers.gateway import GatewayThread
from tests.servers.plans import plan, service
from tests.servers.upstream import OK, Upstream, UpstreamConnection

# A reason phrase is for people: the gateway reads over it and writes its own, h11 is strict.
STATUS_LINE = re.compile(rb"\A(HTTP/1\.[01] \d{3}) [^\r\n]*")


class FuzzedUpstream(Upstream):
    """Answers with ``payload``, whatever that is, and closes."""

    payload = OK

    def serve(self, connection: UpstreamConnection) -> None:
        if connection.recv_head() and connection.recv_body():
            connection.send(self.payload)


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[GatewayThread, FuzzedUpstream]]:
    upstream = FuzzedUpstream()
    timeouts = {"response": 1.0, "idle": 1.0}
    to_upstream = plan([service(upstream.address, timeouts=timeouts)])
    gateway = GatewayThread(to_upstream, access_log=False)
    yield gateway, upstream
    gateway.close()
    upstream.close()


@FUZZ
@given(payload=mutated(seeds("responses", "upstream")))
def test_mutated_responses(pair: Any, payload: bytes) -> None:
    gateway, upstream = pair
    _check(gateway, upstream, payload)


@FUZZ
@given(payload=st.binary(max_size=300))
def test_random_bytes(pair: Any, payload: bytes) -> None:
    gateway, upstream = pair
    _check(gateway, upstream, payload)


def _check(gateway: GatewayThread, upstream: FuzzedUpstream, payload: bytes) -> None:
    upstream.payload = payload
    with gateway.connect() as client:
        response = client.get("/fuzzed")  # TimeoutError: neither answered nor closed
        own = b'"code":"upstream_' in response.body.replace(b'": ', b'":')
        if response.complete and not own:
            assert (response.status, response.body) == _as_h11_reads(payload)
    upstream.payload = OK
    with gateway.connect() as bystander:
        assert bystander.get("/bystander").body == b"ok"


def _as_h11_reads(payload: bytes) -> tuple[int, bytes]:
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    parser.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    parser.send(h11.EndOfMessage())
    parser.receive_data(STATUS_LINE.sub(rb"\1 ", payload, count=1))
    parser.receive_data(b"")
    status, body = 0, b""
    while True:
        try:
            event = parser.next_event()
        except h11.RemoteProtocolError:
            if status:  # h11 also refuses trailers that a gateway drops; the body must still agree
                return status, body
            raise
        match event:
            case h11.Response(status_code=code):
                status = code
            case h11.Data(data=piece):
                body += bytes(piece)
            case h11.EndOfMessage():
                return status, body
