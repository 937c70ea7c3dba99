"""What the upstream learns of the client, and what paths and hosts become on the way."""

from typing import Any

import pytest

from tests.servers.plans import endpoint, plan, route, service
from tests.servers.upstream import Request

TRUSTED: dict[str, Any] = {"trusted_proxies": ["127.0.0.0/8"]}


def forwarded(gateway: Any, echo: Any, *fields: str, target: str = "/", **options: Any) -> Request:
    with gateway(to=echo, **options).connect() as client:
        assert client.get(target, *fields).status == 200
    return echo.requests[-1]


def test_client_address_proto_and_host(gateway: Any, echo: Any) -> None:
    request = forwarded(gateway, echo)
    assert request.get("x-forwarded-for") == "127.0.0.1"
    assert request.get("x-forwarded-proto") == "http"
    assert request.get("x-forwarded-host") == "a"


def test_forwarded_fields_of_a_stranger_are_replaced(gateway: Any, echo: Any) -> None:
    request = forwarded(
        gateway,
        echo,
        "X-Forwarded-For: 6.6.6.6",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil",
        "X-Forwarded-For: 7.7.7.7",
        "Forwarded: for=6.6.6.6",
        "X-Real-IP: 6.6.6.6",
    )
    assert request.get_all("x-forwarded-for") == ["127.0.0.1"]
    assert request.get_all("x-forwarded-proto") == ["http"]
    assert request.get_all("x-forwarded-host") == ["a"]
    for name in ("forwarded", "x-real-ip"):
        assert "6.6.6.6" not in " ".join(request.get_all(name))


@pytest.mark.parametrize(
    "field",
    [
        "X-Forwarded-Uri: /admin",
        "X-Forwarded-Prefix: /admin",
        "X-Forwarded-Method: DELETE",
        "X-Forwarded-Port: 1",
        "X-Original-URL: /admin",
        "X-Rewrite-URL: /admin",
        "X_Forwarded_For: 6.6.6.6",
        "X.Forwarded.For: 6.6.6.6",
        "X-Forwarded: for=6.6.6.6",
        "True-Client-IP: 6.6.6.6",
        "CF-Connecting-IP: 6.6.6.6",
        "X-Original-Host: evil",
        "X-Host: evil",
        "Proxy: http://evil",
    ],
)
def test_trust_fields_of_a_stranger_are_removed(gateway: Any, echo: Any, field: str) -> None:
    name, value = field.split(": ")
    assert value not in forwarded(gateway, echo, field).get_all(name)


def test_forwarded_fields_of_a_trusted_peer_are_continued(gateway: Any, echo: Any) -> None:
    request = forwarded(
        gateway,
        echo,
        "X-Forwarded-For: 9.9.9.9",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: api.example.com",
        **TRUSTED,
    )
    chain = ", ".join(request.get_all("x-forwarded-for")).replace(" ", "")
    assert chain == "9.9.9.9,127.0.0.1"
    assert request.get("x-forwarded-proto") == "https"
    assert request.get("x-forwarded-host") == "api.example.com"


def test_trusted_peer_that_says_nothing(gateway: Any, echo: Any) -> None:
    request = forwarded(gateway, echo, **TRUSTED)
    assert request.get("x-forwarded-for") == "127.0.0.1"
    assert request.get("x-forwarded-proto") == "http"
    assert request.get("x-forwarded-host") == "a"


def test_other_networks_are_not_trusted(gateway: Any, echo: Any) -> None:
    request = forwarded(
        gateway, echo, "X-Forwarded-For: 6.6.6.6", trusted_proxies=["10.0.0.0/8", "::1/128"]
    )
    assert request.get("x-forwarded-for") == "127.0.0.1"


def test_via_is_appended(gateway: Any, echo: Any) -> None:
    """RFC 9110 §7.6.3: a gateway adds itself towards the upstream; others' entries stay first."""
    via = ", ".join(forwarded(gateway, echo, "Via: 1.0 fred").get_all("via"))
    assert via.startswith("1.0 fred, 1.1 ")


def test_host_is_preserved(gateway: Any, echo: Any) -> None:
    assert forwarded(gateway, echo).get_all("host") == ["a"]


def test_host_is_replaced_where_the_service_says_so(gateway: Any, echo: Any) -> None:
    request = forwarded(gateway, echo, host="internal.example")
    assert request.get_all("host") == ["internal.example"]
    assert request.get("x-forwarded-host") == "a"


@pytest.mark.parametrize("trusted", [[], ["127.0.0.0/8"]], ids=["stranger", "trusted"])
def test_identity_is_never_taken_from_outside(gateway: Any, echo: Any, trusted: list[str]) -> None:
    """Not even from a trusted proxy: only our own authentication may say who is calling."""
    names = [
        "X-User-Id", "X-Client-Id", "X-Scopes", "x-USER-id", "X_User_Id", "X-User_Id", "X.User.Id",
        "X-User.Id", "x!scopes", "X~Client-Id",
    ]  # fmt: skip
    request = forwarded(gateway, echo, *[f"{n}: root" for n in names], trusted_proxies=trusted)
    for name in names:
        assert request.get_all(name) == []


def test_connection_cannot_remove_what_the_gateway_sets(gateway: Any, echo: Any) -> None:
    request = forwarded(gateway, echo, "Connection: X-Forwarded-For, X-Correlation-ID, Host")
    assert request.get("x-forwarded-for") == "127.0.0.1"
    assert request.get("x-correlation-id")
    assert request.get("host") == "a"


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        ("/api/x?q=1", "/x?q=1"),
        ("/api", "/"),
        ("/api/", "/"),
        ("/api?q", "/?q"),
        ("/api/../api/x", "/x"),
        ("/api//x", "/x"),
    ],
)
def test_strip_prefix(gateway: Any, echo: Any, target: str, seen: str) -> None:
    routes = [route("/api/{path...}", strip_prefix="/api")]
    with gateway(plan([service(echo.address)], routes)).connect() as client:
        assert client.get(target).status == 200
    assert echo.requests[0].target == seen


@pytest.mark.parametrize("target", ["/apix", "/api/../secret", "/api/%2e%2e/secret", "/API/x"])
def test_strip_prefix_is_no_way_out(gateway: Any, echo: Any, target: str) -> None:
    routes = [route("/api/{path...}", strip_prefix="/api")]
    with gateway(plan([service(echo.address)], routes)).connect() as client:
        assert client.get(target).status == 404
    assert echo.requests == []


@pytest.mark.parametrize(
    ("target", "seen"),
    [("/v1/x?q=1", "/internal/x?q=1"), ("/v1", "/internal"), ("/v1/", "/internal/")],
)
def test_replace_prefix(gateway: Any, echo: Any, target: str, seen: str) -> None:
    routes = [route("/v1/{path...}", replace_prefix=["/v1", "/internal"])]
    with gateway(plan([service(echo.address)], routes)).connect() as client:
        assert client.get(target).status == 200
    assert echo.requests[0].target == seen


def test_routes_by_header_and_query(gateway: Any, servers: Any, echo: Any) -> None:
    canary = type(echo)()
    servers.callback(canary.close)
    routes = [
        route(headers=[{"name": "x-canary", "op": "exact", "value": "always"}], service=1),
        route(query=[{"name": "v", "op": "exact", "value": "2"}], service=1, name="query"),
        route(name="rest"),
    ]
    services = [service(echo.address), service(canary.address, name="canary")]
    with gateway(plan(services, routes)).connect() as client:
        client.get("/plain")
        client.get("/header", "X-Canary: always")
        client.get("/query?a=1&v=2")
        client.get("/other?v=3", "X-Canary: never")
    assert [request.target for request in canary.requests] == ["/header", "/query?a=1&v=2"]
    assert [request.target for request in echo.requests] == ["/plain", "/other?v=3"]


def test_balances_over_endpoints_by_weight(gateway: Any, servers: Any, echo: Any) -> None:
    light = type(echo)()
    servers.callback(light.close)
    endpoints = [endpoint(echo.address, weight=3), endpoint(light.address, weight=1)]
    with gateway(plan([service(endpoints=endpoints)])).connect() as client:
        for _ in range(40):
            client.get()
    assert (len(echo.requests), len(light.requests)) == (30, 10)
