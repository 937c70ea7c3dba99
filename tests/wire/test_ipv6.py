"""Endpoints at IPv6 addresses: dialled as such, and named in brackets."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers.plans import endpoint, plan, service
from tests.servers.upstream import EchoUpstream
from tests.wire.errors import check_error


class EchoUpstream6(EchoUpstream):
    """On the loopback address of IPv6."""

    def _listen(self) -> socket.socket:
        return socket.create_server(("::1", 0), family=socket.AF_INET6, backlog=1024)


@pytest.fixture
def echo6() -> Iterator[EchoUpstream6]:
    running = EchoUpstream6()
    yield running
    running.close()


def test_requests_reach_it_and_the_connection_is_kept(gateway: Any, echo6: EchoUpstream6) -> None:
    with gateway(plan([service(echo6.address)])).connect() as client:
        assert [client.get().status for _ in range(3)] == [200] * 3
    assert len(echo6.connections) == 1
    assert echo6.requests[0].get("host") == "a", "the client's own Host"


def test_a_request_without_host_is_given_the_address_in_brackets(
    gateway: Any, echo6: EchoUpstream6
) -> None:
    """RFC 3986 section 3.2.2: a colon in a host would be read as the beginning of the port."""
    with gateway(plan([service(echo6.address)])).connect() as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.recv_response().status == 200
    assert echo6.requests[0].get("host") == f"[::1]:{echo6.address[1]}"


def test_a_configured_host_is_sent_as_it_is(gateway: Any, echo6: EchoUpstream6) -> None:
    with gateway(plan([service(echo6.address, host="[2001:db8::1]:81")])).connect() as client:
        assert client.get().status == 200
    assert echo6.requests[0].get("host") == "[2001:db8::1]:81"


def test_a_zone_of_an_address_is_looked_up(gateway: Any, echo6: EchoUpstream6) -> None:
    scoped = endpoint((f"::1%{socket.if_indextoname(1)}", echo6.address[1]))
    with gateway(plan([service(endpoints=[scoped])])).connect() as client:
        assert client.get().status == 200


def test_both_families_of_one_service(gateway: Any, echo: Any, echo6: EchoUpstream6) -> None:
    with gateway(plan([service(echo.address, echo6.address)])).connect() as client:
        assert [client.get().status for _ in range(6)] == [200] * 6
    assert len(echo.requests) == len(echo6.requests) == 3


def test_nobody_listens(gateway: Any) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as closed:
        address = closed.getsockname()
    with gateway(plan([service(address)])).connect() as client:
        check_error(client.get(), 502, "upstream_connect_failed")
