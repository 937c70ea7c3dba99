"""Refusals of the gateway's own: status, stable code, JSON shape, correlation id."""

import json
import re
from typing import Any

import pytest

from tests.servers.plans import plan, route, service
from tests.wire.errors import check_error

BAD = [
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", 400, "bad_request", id="framing"),
    pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, "bad_host", id="host"),
    pytest.param(b"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_path", id="path"),
    pytest.param(
        b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "uri_too_long", id="target"
    ),
    pytest.param(
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
        431,
        "header_fields_too_large",
        id="head",
    ),
    pytest.param(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n",
        413,
        "body_too_large",
        id="body",
    ),
    pytest.param(
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: y\r\nContent-Length: 1\r\n\r\n",
        417,
        "expectation_failed",
        id="expect",
    ),
    pytest.param(
        b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 405, "method_not_allowed", id="CONNECT"
    ),
    pytest.param(b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "method_not_allowed", id="TRACE"),
]


@pytest.mark.parametrize(("request_bytes", "status", "code"), BAD)
def test_shape(gateway: Any, echo: Any, request_bytes: bytes, status: int, code: str) -> None:
    with gateway(to=echo).connect() as client:
        client.try_send(request_bytes)
        check_error(client.recv_response(), status, code)
    assert echo.requests == []


def test_no_route(gateway: Any, echo: Any) -> None:
    compiled = plan([service(echo.address)], [route("/known/{path...}")])
    with gateway(compiled).connect() as client:
        check_error(client.get("/unknown"), 404, "route_not_found")
        assert client.get("/known/x").status == 200  # a 404 is no reason to close


def test_no_route_for_this_host(gateway: Any, echo: Any) -> None:
    compiled = plan([service(echo.address)], [route(hosts=["api.example.com", "*.example.org"])])
    with gateway(compiled).connect() as client:
        for host, status in [
            ("api.example.com", 200),
            ("API.Example.COM.:8000", 200),
            ("x.example.org", 200),
            ("example.org", 404),
            ("api.example.com.evil", 404),
        ]:
            assert (
                client.request(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).status == status
            )


def test_wrong_method_names_the_right_ones(gateway: Any, echo: Any) -> None:
    routes = [route("/x", methods=["GET"]), route("/x", methods=["POST"], name="x2")]
    with gateway(plan([service(echo.address)], routes)).connect() as client:
        response = client.request(b"DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n")
        check_error(response, 405, "method_not_allowed")
        allow = {method.strip() for method in (response.get("allow") or "").split(",")}
        assert allow == {"GET", "HEAD", "POST"}
        assert client.request(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n").status == 200


def test_wrong_method_with_a_body_leaves_the_connection_usable_or_closed(
    gateway: Any, echo: Any
) -> None:
    compiled = plan([service(echo.address)], [route("/x", methods=["GET"])])
    smuggled = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
    with gateway(compiled).connect() as client:
        length = b"Content-Length: %d\r\n\r\n" % len(smuggled)
        client.send(b"DELETE /x HTTP/1.1\r\nHost: a\r\n" + length + smuggled)
        check_error(client.recv_response(), 405, "method_not_allowed")
        client.half_close()
        assert client.recv_all() == b""
    assert echo.requests == [], "the body was taken for a request"


def test_head_refusal_has_no_body(gateway: Any, echo: Any) -> None:
    compiled = plan([service(echo.address)], [route("/known")])
    with gateway(compiled).connect() as client:
        response = client.request(b"HEAD /unknown HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (response.status, response.body) == (404, b"")
        assert client.get("/known").status == 200


def test_health_is_answered_here(gateway: Any, echo: Any) -> None:
    with gateway(to=echo).connect() as client:
        response = client.get("/health")
        assert (response.status, json.loads(response.body)) == (200, {"status": "ok"})
        assert client.get("/healthy").status == 200
    assert [request.target for request in echo.requests] == ["/healthy"]


def test_every_answer_bears_a_new_correlation_id(gateway: Any, echo: Any) -> None:
    with gateway(to=echo).connect() as client:
        ids = [client.get(path).get("x-correlation-id") or "" for path in ("/", "/", "/%00")]
    assert len(set(ids)) == 3
    assert all(re.fullmatch(r"[0-9A-Za-z-]{16,64}", each) for each in ids)


def test_correlation_id_goes_upstream(gateway: Any, echo: Any) -> None:
    with gateway(to=echo).connect() as client:
        response = client.get()
    assert echo.requests[0].get("x-correlation-id") == response.get("x-correlation-id")


def test_correlation_id_of_a_stranger_is_replaced(gateway: Any, echo: Any) -> None:
    with gateway(to=echo).connect() as client:
        response = client.get("/", "X-Correlation-ID: theirs")
    assert response.get("x-correlation-id") not in (None, "theirs")
    assert echo.requests[0].get_all("x-correlation-id") == [response.get("x-correlation-id")]


def test_correlation_id_of_a_trusted_peer_is_kept(gateway: Any, echo: Any) -> None:
    with gateway(to=echo, trusted_proxies=["127.0.0.0/8"]).connect() as client:
        assert client.get("/", "X-Correlation-ID: mine-1").get("x-correlation-id") == "mine-1"
        response = client.get("/%00", "X-Correlation-ID: mine-2")
        check_error(response, 400, "bad_path")
        assert response.get("x-correlation-id") == "mine-2"
    assert echo.requests[0].get("x-correlation-id") == "mine-1"


@pytest.mark.parametrize("value", ["a" * 1000, "a b", 'a"b', "", "caf\u00e9", "a,b\\"], ids=repr)
def test_bad_correlation_id_of_a_trusted_peer_is_replaced_or_safe(
    gateway: Any, echo: Any, value: str
) -> None:
    """Bounded and printable: it lands in logs, in JSON and in other people's heads."""
    running = gateway(to=echo, trusted_proxies=["127.0.0.0/8"])
    with running.connect() as client:
        response = client.get("/", f"X-Correlation-ID: {value}")
        own = response.get("x-correlation-id") or ""
        assert re.fullmatch(r"[!#-\[\]-~]{1,128}", own)
        refusal = client.get("/%00", f"X-Correlation-ID: {value}")
        check_error(refusal, 400, "bad_path")
    assert len(running.log_entries(2)) == 2


def test_two_correlation_ids_of_a_trusted_peer(gateway: Any, echo: Any) -> None:
    with gateway(to=echo, trusted_proxies=["127.0.0.0/8"]).connect() as client:
        response = client.get("/", "X-Correlation-ID: one", "X-Correlation-ID: two")
    assert response.status == 200
    assert len(echo.requests[0].get_all("x-correlation-id")) == 1
