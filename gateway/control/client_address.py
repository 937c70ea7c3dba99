"""Whose address counts behind trusted proxies; for all but logins it is `cext/networks.pyx`."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

__all__ = ["client_address"]

_WITH_PORT = re.compile(r"\[(?P<six>[^]]*)\](?::\d{1,5})?|(?P<four>[\d.]+):\d{1,5}")


def client_address(forwarded: str, trusted: Iterable[IPv4Network | IPv6Network]) -> str:
    """The last address of X-Forwarded-For that is not a trusted proxy's, in its one spelling.

    A proxy that names none is the client itself; ``unknown`` if nobody names any.
    """
    networks = tuple(trusted)
    client = "unknown"
    for text in reversed(forwarded.split(",")):
        address = _parsed(text.strip())
        if address is None:
            break
        client = address.compressed
        if not any(address in network for network in networks):
            break
    return client


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """Some proxies write a port behind the address."""
    found = _WITH_PORT.fullmatch(text)
    try:
        address = ip_address(text if found is None else found["six"] or found["four"])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
