"""What EndpointSlices mean."""

import pytest

from gateway.upstreams.discovery.endpoint_slices import endpoints
from gateway.upstreams.discovery.source import Endpoint, SourceError
from tests.servers.kubernetes_server import Pod, endpoint_slice


def test_ready_and_unknown_ones_count() -> None:
    item = endpoint_slice(
        "a", Pod("10.0.0.1", zone="z1"), Pod("10.0.0.2", ready=None), Pod("10.0.0.3", ready=False)
    )
    assert endpoints([item], "http") == {
        Endpoint("http://10.0.0.1:8080", 1, "z1"),
        Endpoint("http://10.0.0.2:8080"),
    }


def test_conditions_may_be_absent() -> None:
    item = endpoint_slice("a", Pod("10.0.0.1"))
    del item["endpoints"][0]["conditions"]
    assert len(endpoints([item], None)) == 1


def test_several_slices_make_one_set() -> None:
    items = [endpoint_slice("a", Pod("10.0.0.1")), endpoint_slice("b", Pod("10.0.0.2"))]
    assert len(endpoints(items, "http")) == 2


@pytest.mark.parametrize(
    ("wanted", "expected"), [("http", 8080), ("admin", 9090), (9090, 9090), (8080, 8080)]
)
def test_ports_by_name_and_number(wanted: int | str, expected: int) -> None:
    item = endpoint_slice("a", Pod("10.0.0.1"), ports={"http": 8080, "admin": 9090})
    [found] = endpoints([item], wanted)
    assert found.url == f"http://10.0.0.1:{expected}"


def test_the_only_port_needs_no_name() -> None:
    [found] = endpoints([endpoint_slice("a", Pod("10.0.0.1"), ports={"": 80})], None)
    assert found.url == "http://10.0.0.1:80"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("grpc", r"no port grpc; ports of the EndpointSlices: http \(8080\), admin \(9090\)"),
        (80, "no port 80; ports of"),
        (None, "discovery.kubernetes.port must name one"),
    ],
)
def test_a_port_that_is_not_there_is_said(wanted: int | str | None, message: str) -> None:
    item = endpoint_slice("a", Pod("10.0.0.1"), ports={"http": 8080, "admin": 9090})
    with pytest.raises(SourceError, match=message):
        endpoints([item], wanted)


def test_a_slice_without_ready_endpoints_needs_no_port() -> None:
    item = endpoint_slice("a", Pod("10.0.0.1", ready=False))
    item["ports"] = None
    assert endpoints([item, endpoint_slice("b")], "http") == frozenset()


def test_udp_ports_do_not_count() -> None:
    item = endpoint_slice("a", Pod("10.0.0.1"), ports={"dns": 53, "http": 80})
    item["ports"][0]["protocol"] = "UDP"
    [found] = endpoints([item], None)
    assert found.url == "http://10.0.0.1:80"


def test_two_families_are_one_set_of_endpoints() -> None:
    four = endpoint_slice("a", Pod("10.0.0.1"))
    six = endpoint_slice("b", Pod("fd00::1"), family="IPv6")
    names = endpoint_slice("c", Pod("pod.internal"), family="FQDN")
    assert endpoints([names, six, four], "http") == {Endpoint("http://10.0.0.1:8080")}
    assert endpoints([names, six], "http") == {Endpoint("http://[fd00::1]:8080")}
