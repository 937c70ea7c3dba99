"""What an instance may say of itself, checked in the same way for whoever says it."""

from gateway.config.addresses import Address
from gateway.config.services import parse_endpoint_url
from gateway.config.values import parse_name, parse_zone
from gateway.store.instances import Registration

__all__ = [
    "MAX_TTL_S",
    "MAX_URL",
    "MIN_TTL_S",
    "checked",
    "parse_instance_url",
]

MAX_URL = 255
"""Characters that the column holds."""
MIN_TTL_S = 2
"""The store is asked once a second at best; a shorter time would only flap."""
MAX_TTL_S = 7 * 86_400


def parse_instance_url(url: str) -> str:
    """The one spelling of an address, ``http://HOST:PORT``: an instance is known by it. ValueError.

    No socket: every host of the gateway hears of it, and each would open a path of its own.
    """
    target = parse_endpoint_url(url)
    if target.host is None or target.port is None:
        raise ValueError(
            "must be http://HOST:PORT: a socket is on one host, and instances are for all; it can "
            "be among the endpoints of a service in the configuration file"
        )
    known_as = f"http://{Address(target.host, target.port)}"
    if len(known_as) > MAX_URL:
        raise ValueError(f"must have at most {MAX_URL} characters")
    return known_as


def checked(
    service: str,
    url: str,
    weight: int = 1,
    zone: str | None = None,
    ttl_s: int | None = None,
) -> Registration:
    """A registration. ValueError says what is wrong with it."""
    if ttl_s is not None and not MIN_TTL_S <= ttl_s <= MAX_TTL_S:
        raise ValueError(f"a time to live is {MIN_TTL_S} s to {MAX_TTL_S} s, not {ttl_s} s")
    return Registration(
        parse_name(service), parse_instance_url(url), weight, parse_zone(zone), ttl_s=ttl_s
    )
