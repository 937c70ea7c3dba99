from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.addresses import Address, parse_address, parse_host, parse_network


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:8000", Address("0.0.0.0", 8000)),
        ("[::]:0", Address("::", 0)),
        ("LocalHost:80", Address("localhost", 80)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address == parse_address(address)
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "wrong",
    [8000, "8000", "a:", ":80", "a:b", "a:65536", "::1:80", "[::1]", "[a]:80", "a b:80", None],
)
def test_other_addresses_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"must be|is not|needs brackets|is neither"):
        parse_address(wrong)


@given(st.ip_addresses(), st.integers(0, 65535))
def test_an_address_survives_its_text(host: Any, port: int) -> None:
    address = Address(str(host), port)
    assert parse_address(str(address)) == address


def test_hosts_are_lower_case_without_final_dot() -> None:
    assert parse_host("API.Example.org.") == "api.example.org"
    assert parse_host("live_classes") == "live_classes"
    for wrong in (
        "",
        ".",
        "a..b",
        "-a",
        "a-",
        "a" * 64,
        ".".join(["a" * 60] * 5),
        "1.2.3",
        "é",
        "[a]",
    ):
        with pytest.raises(ValueError, match=r"is neither|is not"):
            parse_host(wrong)


@given(st.ip_addresses())
def test_a_single_address_is_a_network(address: Any) -> None:
    assert parse_network(str(address)).startswith(str(address))


def test_a_network_with_host_bits_says_what_was_meant() -> None:
    assert parse_network("10.0.0.0/8") == "10.0.0.0/8"
    with pytest.raises(ValueError, match=r"did you mean 10\.0\.0\.0/8\?"):
        parse_network("10.0.0.1/8")
    for wrong in ("all", 10, None):
        with pytest.raises(ValueError, match="must be a network"):
            parse_network(wrong)
