"""``services.NAME.discovery``: values, and the way between processes."""

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.config.discovery import (
    Discovery,
    parse_dns_name,
    parse_kubernetes_name,
    parse_kubernetes_port,
    parse_resolver,
    parse_server_url,
)

CONSUL = {"consul": {"service": "web", "token": "secret", "tags": ["a", "b"]}}
KUBERNETES = {"kubernetes": {"namespace": "prod", "service": "web", "port": 8080}}
DNS = {"dns": {"name": "web.prod", "port": 80, "resolver": "[::1]:53", "min_ttl": "1m"}}


@pytest.mark.parametrize("settings", [CONSUL, KUBERNETES, DNS])
def test_it_survives_the_channel(settings: dict[str, Any]) -> None:
    made = Discovery.model_validate(settings)
    again = Discovery.from_message(made.to_message())
    assert again == made
    assert hash(again) == hash(made), "it is the key of what runs"


def test_secrets_go_over_the_channel_and_nowhere_else() -> None:
    made = Discovery.model_validate(CONSUL)
    assert made.to_message()["consul"]["token"] == "secret"
    assert "secret" not in str(made.model_dump(mode="json"))
    assert "secret" not in repr(made)


@pytest.mark.parametrize(
    ("settings", "title"),
    [
        (CONSUL, "consul web at http://127.0.0.1:8500"),
        (KUBERNETES, "kubernetes prod/web"),
        (DNS, "dns A web.prod"),
    ],
)
def test_people_see_a_title(settings: dict[str, Any], title: str) -> None:
    assert Discovery.model_validate(settings).source.title == title


@pytest.mark.parametrize("settings", [{}, CONSUL | DNS, CONSUL | DNS | KUBERNETES])
def test_exactly_one_source(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="one of consul, kubernetes, dns and registry"):
        Discovery.model_validate(settings)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8500/", "http://127.0.0.1:8500"),
        ("https://consul.internal", "https://consul.internal"),
        ("http://[::1]:8500", "http://[::1]:8500"),
    ],
)
def test_urls_of_servers(url: str, expected: str) -> None:
    assert parse_server_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [1, "", "127.0.0.1:8500", "ftp://a", "http://", "http://a:0", "http://a:x", "http://a:99999",
     "http://u@a", "http://a/v1", "http://a?b", "http://a#b", "http://a b", "http://[::1", "http://a_b!"],
)  # fmt: skip
def test_other_urls_are_refused(url: Any) -> None:
    with pytest.raises(ValueError, match=r"must|neither"):
        parse_server_url(url)


@pytest.mark.parametrize(
    ("port", "expected"), [("http", "http"), ("8080", 8080), (8080, 8080), ("http-2", "http-2")]
)
def test_ports_of_kubernetes(port: Any, expected: int | str) -> None:
    assert parse_kubernetes_port(port) == expected


@pytest.mark.parametrize("port", [0, 65_536, "", "HTTP", "-a", "a" * 16, None, True, 1.5])
def test_other_ports_are_refused(port: Any) -> None:
    with pytest.raises(ValueError, match="must be a port's name or number"):
        parse_kubernetes_port(port)


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "a.b", "a" * 64, None, "a/../b"])
def test_other_names_are_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="must be a Kubernetes name"):
        parse_kubernetes_name(name)


@pytest.mark.parametrize("name", ["10.0.0.1", "::1", "", "a b", "ä.org", 5, None])
def test_what_is_no_name_for_dns(name: Any) -> None:
    with pytest.raises(ValueError, match=r"is an address|neither|must be a name"):
        parse_dns_name(name)


@pytest.mark.parametrize("resolver", ["dns:53", "10.0.0.1", "10.0.0.1:0", "::1:53", None])
def test_what_is_no_resolver(resolver: Any) -> None:
    with pytest.raises(ValueError, match=r"must be|needs brackets"):
        parse_resolver(resolver)
