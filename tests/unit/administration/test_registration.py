"""What an instance may say of itself."""

import pytest

from gateway.administration.registration import checked, parse_instance_url


@pytest.mark.parametrize(
    ("written", "known_as"),
    [
        ("http://10.0.0.5:9101", "http://10.0.0.5:9101"),
        ("http://10.0.0.5:9101/", "http://10.0.0.5:9101"),
        ("HTTP://Web.Example.:9101/", "http://web.example:9101"),
        ("http://web.example", "http://web.example:80"),
        ("http://web.example:0080", "http://web.example:80"),
        ("http://[2001:DB8:0::1]:80/", "http://[2001:db8::1]:80"),
    ],
)
def test_an_address_has_one_url(written: str, known_as: str) -> None:
    assert parse_instance_url(written) == known_as
    assert parse_instance_url(known_as) == known_as
    assert checked("web", written).url == known_as


@pytest.mark.parametrize(
    "url",
    ["http://a:1/b", "http://a:1//", "https://a:1", "unix:///run/a.sock", "a:1", "http://a:0"],
)
def test_what_no_gateway_can_call_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|needs|not supported"):
        parse_instance_url(url)
