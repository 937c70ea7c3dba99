"""Bodies in both directions: framing, trailers, 100-continue, early answers, immediacy."""

import contextlib
import json
import threading
import time
from typing import Any

from tests.servers.upstream import OK, REQUEST, Do

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
EXPECT = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
LARGE = bytes(range(256)) * 8192  # 2 MiB, no two neighbours alike


def test_large_body_with_content_length_both_ways(gateway: Any, scripted: Any) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE)
    upstream = scripted((*REQUEST, head + LARGE))
    with gateway(to=upstream).connect() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(LARGE) + LARGE
        )
        response = client.recv_response()
    assert response.body == LARGE
    assert upstream.requests[0].body == LARGE


def test_large_body_chunked_both_ways(gateway: Any, scripted: Any) -> None:
    pieces = [LARGE[at : at + 10007] for at in range(0, len(LARGE), 10007)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    upstream = scripted(
        (*REQUEST, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
    )
    with gateway(to=upstream).connect() as client:
        client.send(CHUNKED + chunks)
        response = client.recv_response()
    assert response.body == LARGE
    assert upstream.requests[0].body == LARGE
    assert upstream.requests[0].get("content-length") is None


def test_head_response_keeps_the_connection(gateway: Any, echo: Any) -> None:
    with gateway(to=echo).connect() as client:
        response = client.request(b"HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n")
        assert int(response.get("content-length") or 0) > 0
        assert response.body == b""
        assert client.get("/next").status == 200


def test_trailers_are_never_merged_into_the_head(gateway: Any, echo: Any) -> None:
    with gateway(to=echo).connect() as client:
        response = client.request(
            CHUNKED + b"2\r\nab\r\n0\r\nX-Sum: 1\r\nX-User-Id: root\r\nHost: evil\r\n\r\n"
        )
        seen = json.loads(response.body)
    assert seen["body"] == "ab"
    names = {name for name, _ in seen["headers"]}
    assert names.isdisjoint({"x-sum", "x-user-id"})
    assert {name for name, _ in seen["trailers"]} <= {"x-sum"}


def test_request_body_streams(gateway: Any, scripted: Any) -> None:
    """The upstream has the first chunk before the client has sent the second."""
    upstream = scripted((*REQUEST, OK))
    with gateway(to=upstream).connect() as client:
        client.send(CHUNKED + b"5\r\nfirst\r\n")
        assert upstream.wait_for(
            lambda: bool(upstream.connections) and b"first" in upstream.connections[0].received
        )
        client.send(b"6\r\nsecond\r\n0\r\n\r\n")
        assert client.recv_response().body == b"ok"
    assert upstream.requests[0].body == b"firstsecond"


def test_server_sent_events_pass_at_once(gateway: Any, scripted: Any) -> None:
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    gates = [threading.Event() for _ in range(5)]
    steps: list[Any] = [head]
    for number, gate in enumerate(gates):
        event = b"data: %d\n\n" % number
        steps += [b"%x\r\n%s\r\n" % (len(event), event), gate]
    upstream = scripted((*REQUEST, *steps, b"0\r\n\r\n"))
    with gateway(to=upstream).connect() as client:
        client.send(b"GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
        for number, gate in enumerate(gates):
            client.recv_until(b"data: %d\n\n" % number)  # before the next one is even made
            gate.set()
        client.recv_until(b"0\r\n\r\n")


def test_close_delimited_stream_passes_at_once(gateway: Any, scripted: Any) -> None:
    gate = threading.Event()
    upstream = scripted((*REQUEST, b"HTTP/1.1 200 OK\r\n\r\nfirst", gate, b"second", Do.CLOSE))
    with gateway(to=upstream).connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.recv_until(b"first")
        gate.set()
        client.recv_until(b"second")


def test_100_continue_comes_from_the_upstream(gateway: Any, scripted: Any) -> None:
    gate = threading.Event()
    go_on = b"HTTP/1.1 100 Continue\r\n\r\n"
    upstream = scripted((Do.HEAD, gate, go_on, Do.BODY, OK, *REQUEST, OK))
    with gateway(to=upstream).connect() as client:
        client.send(EXPECT)
        assert upstream.wait_for(lambda: bool(upstream.requests))
        assert upstream.requests[0].get("expect") == "100-continue"
        assert client.is_open(), "100 must wait for the upstream's"
        gate.set()
        assert client.recv_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100")
        client.send(b"abcd")
        response = client.recv_response()
        assert (response.informational, response.body) == ([], b"ok")
        assert client.get("/next", "Connection: close").status == 200
    assert upstream.requests[0].body == b"abcd"


def test_final_answer_instead_of_100_closes_both_connections(gateway: Any, scripted: Any) -> None:
    """The client may still send the body, or not: the next bytes have no certain meaning."""
    no = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
    upstream = scripted((Do.HEAD, no))
    with gateway(to=upstream).connect() as client:
        client.send(EXPECT)
        response = client.recv_response()
        assert (response.status, response.body) == (403, b"no")
        client.try_send(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        client.recv_eof()
    assert upstream.connections[0].ended.wait(8.0)
    assert b"smuggled" not in upstream.connections[0].received


def test_early_answer_closes_and_the_rest_is_no_request(gateway: Any, scripted: Any) -> None:
    no = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"
    upstream = scripted((Do.HEAD, no), (*REQUEST, OK))
    running = gateway(to=upstream)
    with running.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
        response = client.recv_response()
        assert (response.status, response.body) == (401, b"no")
        client.try_send(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        client.socket.settimeout(1.0)
        try:
            after = client.recv_all()
        except TimeoutError:
            after = b""  # still draining the body within its bound
        assert after == b""
    assert upstream.connections[0].ended.wait(8.0)
    assert [request.target for request in upstream.requests] == ["/"]
    with running.connect() as client:
        assert client.get().body == b"ok"


def test_early_answer_with_connection_close_while_uploading(gateway: Any, scripted: Any) -> None:
    """An upstream that answers and hangs up in mid-upload: its answer counts, not the EPIPE."""
    no = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"
    upstream = scripted((Do.HEAD, no, 0.1, Do.CLOSE))
    with gateway(to=upstream, limits={"body": 0}).connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n")
        sender = threading.Thread(target=client.try_send, args=(b"x" * 5_000_000,))
        sender.start()
        response = client.recv_response()
        with contextlib.suppress(OSError):  # reset already, after so many unread bytes
            client.half_close()  # wakes the sender, if it still waits
        sender.join()
    assert (response.status, response.body) == (413, b"no")


def test_gateway_refusal_with_an_unread_body(gateway: Any, echo: Any) -> None:
    """A client that is still sending gets the refusal, not a reset that destroys it."""
    running = gateway(to=echo, limits={"body": 1000})
    with running.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n")
        client.try_send(b"x" * 200000)
        assert client.recv_response().status == 413
        client.recv_eof()
    assert echo.requests == []


def test_answer_comes_without_delay(gateway: Any, echo: Any) -> None:
    """No Nagle, no tick in the way: a hundred requests in far less than a tick each."""
    with gateway(to=echo).connect() as client:
        client.get()
        begin = time.monotonic()
        for _ in range(100):
            client.get()
        assert time.monotonic() - begin < 8
