"""Whose address counts at a login."""

from ipaddress import ip_network

import pytest

from gateway.control.client_address import client_address

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48")]


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, 10.0.0.1, 2001:db8:1::5", "203.0.113.7"),
        ("203.0.113.7,10.0.0.1", "203.0.113.7"),
        ("10.0.0.2, 10.0.0.1", "10.0.0.2"),
        ("::ffff:203.0.113.7, ::ffff:10.0.0.1", "203.0.113.7"),
        ("::FFFF:CB00:7107", "203.0.113.7"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("203.0.113.7:4711, 10.0.0.1:80", "203.0.113.7"),
        ("[2001:db8::1]:4711, 10.0.0.1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("198.51.100.1, unknown, 10.0.0.1", "10.0.0.1"),
        ("198.51.100.1, , 10.0.0.1", "10.0.0.1"),
        ("198.51.100.1, 10.0.0.999:80, 10.0.0.1", "10.0.0.1"),
        ("198.51.100.1, [::1, 10.0.0.1", "10.0.0.1"),
        ("unknown", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_last_that_is_no_proxy_s(forwarded: str, client: str) -> None:
    assert client_address(forwarded, TRUSTED) == client
