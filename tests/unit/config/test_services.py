from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.services import (
    MAX_UNIX_PATH,
    Endpoint,
    Target,
    parse_endpoint_url,
    parse_upstream_host,
)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://10.0.0.5:9101", Target("10.0.0.5", 9101, None)),
        ("http://Identity", Target("identity", 80, None)),
        ("HTTP://[::1]", Target("::1", 80, None)),
        ("http://[::1]:81/", Target("::1", 81, None)),
        ("unix:///run/x.sock", Target(None, None, "/run/x.sock")),
        ("unix:/run/x.sock", Target(None, None, "/run/x.sock")),
        (
            "unix:///" + "x" * (MAX_UNIX_PATH - 1),
            Target(None, None, "/" + "x" * (MAX_UNIX_PATH - 1)),
        ),
    ],
)
def test_targets(url: str, target: Target) -> None:
    assert parse_endpoint_url(url) == target
    assert Endpoint.model_validate(url).target == target


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://", "needs a host"),
        ("http://:80", "needs a host"),
        ("http://a:0", "a port other than 0"),
        ("http://a:", "is not a port"),
        ("http://a?x", "query or fragment"),
        ("http://a#", "query or fragment"),
        ("http://a b", "printable ASCII"),
        ("http://é", "printable ASCII"),
        ("http://[::1", "must be a URL"),
        ("http://a@b", "user name or password"),
        ("unix:///", "needs the path"),
        ("unix:", "needs the path"),
        ("unix://run/x", "unix:///run/x"),
        ("unix:///" + "x" * MAX_UNIX_PATH, "at most 107 bytes"),
        ("https://a", "https to endpoints is not supported yet"),
        ("a:80", "must be http://HOST:PORT"),
        ("", "printable ASCII"),
    ],
)
def test_other_urls_are_refused(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_endpoint_url(url)


@given(st.text(st.sampled_from("htpunix:/[]@?#%.a1-")))
def test_any_url_is_parsed_or_refused(url: str) -> None:
    try:
        target = parse_endpoint_url(url)
    except ValueError:
        return
    assert (target.host is None) == (target.port is None) == (target.unix is not None)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (None, None),
        ("A.org", "a.org"),
        ("a.org:8080", "a.org:8080"),
        ("[::1]", "[::1]"),
        ("[::1]:80", "[::1]:80"),
        ("::1", "[::1]"),
    ],
)
def test_hosts_for_upstreams(host: Any, expected: str | None) -> None:
    assert parse_upstream_host(host) == expected


@pytest.mark.parametrize("host", [1, "a b", "a:x", "a:99999", "a:", "", "[a]", "a\r\nb"])
def test_other_hosts_are_refused(host: Any) -> None:
    with pytest.raises(ValueError, match=r"must be|is neither|is not"):
        parse_upstream_host(host)
