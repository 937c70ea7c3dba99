"""Hosts, ports, addresses and networks in the configuration."""

import ipaddress
import re
from typing import Annotated, NamedTuple

from pydantic import PlainSerializer, PlainValidator

from gateway.config.values import shown, text_schema

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOSTNAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")


class Address(NamedTuple):
    """Where a server listens. ``host`` is an IP address or name without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_ip_address(text: str) -> bool:
    """Whether it is an IPv4 or IPv6 address, without brackets."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def parse_host(text: str) -> str:
    """An IP address or a host name in ASCII → lower case, without brackets or final dot."""
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if is_ip_address(inner):
        return str(ipaddress.ip_address(inner))
    if inner is not text or not _HOSTNAME.fullmatch(text) or len(text) > 253:
        hint = "" if text.isascii() else " (write an international name in its xn-- form)"
        raise ValueError(f"{text!r} is neither an IP address nor a host name{hint}")
    if re.fullmatch(r"[0-9.]+", text):
        raise ValueError(f"{text!r} is not a valid IPv4 address")
    return text.lower().removesuffix(".")


def parse_port(text: str) -> int:
    """``0`` to ``65535``; 0 asks the kernel for a free one."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65535:
        raise ValueError(f"{text!r} is not a port (0 to 65535)")
    return int(text)


def parse_address(value: object) -> Address:
    """``HOST:PORT``, an IPv6 host in brackets, → `Address`."""
    if isinstance(value, Address):
        return value
    if not isinstance(value, str) or ":" not in value:
        raise ValueError(
            f"must be HOST:PORT such as 127.0.0.1:8000 or [::]:8000, not {shown(value)}"
        )
    host, _, port = value.rpartition(":")
    if ":" in host and not host.startswith("["):
        raise ValueError(f"an IPv6 address needs brackets: [{host}]:{port}")
    return Address(parse_host(host), parse_port(port))


def parse_network(value: object) -> str:
    """An address or a network in CIDR form → the network's canonical text."""
    if not isinstance(value, str):
        raise ValueError(f"must be a network such as 10.0.0.0/8, not {shown(value)}")
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        pass
    try:
        meant = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"must be a network such as 10.0.0.0/8, not {shown(value)}") from None
    raise ValueError(f"{value} has bits set to the right of the mask; did you mean {meant}?")


ListenAddress = Annotated[
    Address,
    PlainValidator(parse_address),
    PlainSerializer(str),
    text_schema("HOST:PORT", r".+:[0-9]{1,5}"),
]

Network = Annotated[str, PlainValidator(parse_network), text_schema("network")]
