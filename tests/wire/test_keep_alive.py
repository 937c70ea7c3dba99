"""Reuse of connections on both sides, pipelining, HTTP/1.0, half-closed and vanished clients."""

import threading
from typing import Any

from tests.servers.client import Client
from tests.servers.plans import plan, service, unix_endpoint
from tests.servers.upstream import OK, REQUEST, Do, EchoUpstream, UnixEchoUpstream


def get(target: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: a", *fields, "", ""]).encode()


def test_one_upstream_connection_serves_sequential_requests(gateway: Any, echo: Any) -> None:
    running = gateway(to=echo)
    with running.connect() as client:
        for number in range(50):
            assert client.get(f"/{number}").status == 200
    assert len(echo.connections) == 1
    assert [request.target for request in echo.requests] == [f"/{n}" for n in range(50)]


def test_connections_of_different_clients_share_the_pool(gateway: Any, echo: Any) -> None:
    running = gateway(to=echo)
    for _ in range(10):
        with running.connect() as client:
            assert client.get().status == 200
    assert len(echo.connections) == 1


def test_pipelined_answers_come_in_order(gateway: Any, echo: EchoUpstream) -> None:
    with gateway(to=echo).connect() as client:
        client.send(b"".join(get(f"/{number}") for number in range(40)))
        bodies = [client.recv_response().body for _ in range(40)]
    assert [f'"target": "/{n}"'.encode() in body for n, body in enumerate(bodies)] == [True] * 40


def test_pipelined_refusal_keeps_the_order(gateway: Any, scripted: Any) -> None:
    """An answer of the gateway's own must not overtake the upstream's slow one before it."""
    gate = threading.Event()
    upstream = scripted((*REQUEST, gate, OK))
    with gateway(to=upstream).connect() as client:
        client.send(get("/slow") + b"GET / HTTP/9.9\r\n\r\n")
        upstream.wait_for(lambda: upstream.requests)
        assert client.is_open()
        gate.set()
        assert client.recv_response().body == b"ok"
        assert client.recv_response().status in (400, 505)
        client.recv_eof()


def test_deep_pipeline_does_not_grow_without_bound(gateway: Any, scripted: Any) -> None:
    """Reading stops while an exchange runs: the kernel's buffers fill, ours do not."""
    gate = threading.Event()
    upstream = scripted((*REQUEST, gate, *[OK, *REQUEST] * 5))
    running = gateway(to=upstream)
    with running.connect(timeout_s=1.0) as client:
        client.send(get("/first"))
        upstream.wait_for(lambda: upstream.requests)
        sent = 0
        try:
            while sent < 64 << 20:
                sent += client.socket.send(get("/flood") * 1000)
        except TimeoutError:
            pass
        gate.set()
        assert sent < 32 << 20, "the gateway reads pipelined requests without end"


def test_http_10_client_without_keep_alive(gateway: Any, echo: Any) -> None:
    with gateway(to=echo).connect() as client:
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        response = client.recv_response()
        assert response.status == 200
        assert response.complete
        client.recv_eof()


def test_http_10_client_with_keep_alive(gateway: Any, echo: Any) -> None:
    """RFC 9112 §9.3: kept only if the answer says so; else it is closed. Both are allowed."""
    with gateway(to=echo).connect() as client:
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
        response = client.recv_response()
        assert response.complete
        if (response.get("connection") or "").lower() == "keep-alive":
            client.send(b"GET /2 HTTP/1.0\r\nHost: a\r\n\r\n")
            assert client.recv_response().status == 200
        client.recv_eof()


def test_connection_close_is_answered_in_kind(gateway: Any, echo: Any) -> None:
    with gateway(to=echo).connect() as client:
        response = client.get("/", "Connection: close")
        assert (response.get("connection") or "").lower() == "close"
        client.recv_eof()
        assert len(echo.connections) == 1


def test_client_close_does_not_close_the_upstream_connection(gateway: Any, echo: Any) -> None:
    running = gateway(to=echo)
    for _ in range(3):
        with running.connect() as client:
            client.get("/", "Connection: close")
    assert len(echo.connections) == 1
    assert echo.requests[-1].get("connection") in (None, "keep-alive")


def test_half_closed_client_gets_its_answer(gateway: Any, scripted: Any) -> None:
    gate = threading.Event()
    upstream = scripted((*REQUEST, gate, OK))
    with gateway(to=upstream).connect() as client:
        client.send(get("/"))
        client.half_close()
        upstream.wait_for(lambda: upstream.requests)
        gate.set()
        assert client.recv_response().body == b"ok"
        client.recv_eof()


def test_half_closed_client_gets_every_pipelined_answer(gateway: Any, echo: Any) -> None:
    with gateway(to=echo).connect() as client:
        client.send(get("/1") + get("/2") + get("/3"))
        client.half_close()
        assert [client.recv_response().status for _ in range(3)] == [200] * 3
        client.recv_eof()


def test_half_close_inside_a_body_ends_the_exchange(gateway: Any, echo: Any) -> None:
    running = gateway(to=echo)
    with running.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        client.half_close()
        raw = client.recv_all()
        assert raw == b"" or raw.startswith(b"HTTP/1.1 400")
    assert not [request for request in echo.requests if request.raw]
    assert echo.wait_for(lambda: echo.open_connections == 0)


def test_reset_client_frees_the_upstream(gateway: Any, scripted: Any) -> None:
    upstream = scripted((*REQUEST,))
    running = gateway(to=upstream)
    client = running.connect()
    client.send(get("/never-answered"))
    upstream.wait_for(lambda: upstream.requests)
    client.reset()
    assert upstream.connections[0].ended.wait(8.0)
    assert running.exchanges == 0
    assert running.connections == 0


def test_reset_client_in_mid_download_frees_the_upstream(gateway: Any, scripted: Any) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    upstream = scripted((*REQUEST, head, b"x" * 1000))
    running = gateway(to=upstream)
    client = running.connect()
    client.send(get("/"))
    client.recv_until(b"xxx")
    client.reset()
    assert upstream.connections[0].ended.wait(8.0)
    assert running.exchanges == 0


def test_reset_client_in_mid_upload_frees_the_upstream(gateway: Any, scripted: Any) -> None:
    upstream = scripted((Do.HEAD,))
    running = gateway(to=upstream)
    client = running.connect()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
    upstream.wait_for(
        lambda: b"abc" in upstream.connections[0].received if upstream.connections else False
    )
    client.reset()
    assert upstream.connections[0].ended.wait(8.0)
    assert running.exchanges == 0


def test_idle_client_connection_is_closed_silently(gateway: Any, echo: Any) -> None:
    with gateway(to=echo, limits={"idle_timeout": 0.3}).connect() as client:
        assert client.get().status == 200
        assert client.is_open(0.1)
        client.recv_eof()  # no 408: nothing was asked


def test_idle_upstream_connection_is_closed(gateway: Any, echo: Any) -> None:
    running = gateway(to=echo, pool={"idle_timeout": 0.3})
    with running.connect() as client:
        client.get()
        assert echo.open_connections == 1
        assert echo.wait_for(lambda: echo.open_connections == 0)
        assert client.get().status == 200


def test_upstream_over_a_unix_socket(gateway: Any, servers: Any, tmp_path: Any) -> None:
    upstream = UnixEchoUpstream(str(tmp_path / "up.sock"))
    servers.callback(upstream.close)
    to_socket = plan([service(endpoints=[unix_endpoint(upstream.address)])])
    with gateway(to_socket).connect() as client:
        assert client.get("/1").status == 200
        assert client.get("/2").status == 200
    assert len(upstream.connections) == 1


def test_many_clients_at_once(gateway: Any, echo: Any) -> None:
    running = gateway(to=echo)
    clients: list[Client] = [running.connect() for _ in range(100)]
    for client in clients:
        client.send(get("/"))
    assert [client.recv_response().status for client in clients] == [200] * 100
    assert running.connections == 100
    for client in clients:
        client.close()
    assert echo.wait_for(lambda: running.connections == 0)
