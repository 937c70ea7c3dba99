"""The one form of an email address."""

import pytest

from gateway.store.emails import normalise_email


@pytest.mark.parametrize(
    ("text", "email"),
    [
        ("ann@example.org", "ann@example.org"),
        (" Ann.Smith+x@EXAMPLE.org\n", "ann.smith+x@example.org"),
        ("jose\u0301@example.org", "jos\u00e9@example.org"),
        ("ann@\u00fcber.example", "ann@\u00fcber.example"),
    ],
)
def test_equal_addresses_are_one(text: str, email: str) -> None:
    assert normalise_email(text) == email


@pytest.mark.parametrize(
    "text",
    ["", "ann", "@example.org", "ann@", "a@b@c", "a b@c", "a\0@c", "<a@b>", "a,b@c", "a;b@c",
     '"a"@b', "a@b\nc", "a" * 65 + "@b", "a@" + "b" * 254],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an email address"):
        normalise_email(text)
