from typing import Any

import pytest
from pydantic import ValidationError

from gateway.config.auth import Auth, JwtProvider

PROVIDER = {
    "name": "corp", "issuer": "https://idp.example", "jwks_url": "https://idp.example/jwks",
    "audience": "api",
}  # fmt: skip


def test_the_defaults_are_those_of_the_guide() -> None:
    auth = Auth()
    assert (auth.access_token_ttl, auth.refresh_token_ttl) == (900, 7 * 86_400)
    assert auth.signing.algorithm == "RS256"
    assert (auth.passwords.min_length, auth.passwords.max_length) == (8, 128)


def test_it_survives_being_published() -> None:
    """Control reads the section back from what is shown of it."""
    written = {"clock_skew": "0s", "jwt_providers": [PROVIDER], "signing": {"rotate_every": "off"}}
    auth = Auth.model_validate(written)
    assert Auth.model_validate(auth.model_dump(mode="json")) == auth


@pytest.mark.parametrize(
    "url",
    ["https://idp.example/jwks", "https://idp.example:8443/a?b=c", "http://127.0.0.1:8080/jwks",
     "http://[::1]/jwks", "http://10.1.2.3/jwks"],
)  # fmt: skip
def test_where_keys_may_be(url: str) -> None:
    assert JwtProvider.model_validate(PROVIDER | {"jwks_url": url}).jwks_url == url


@pytest.mark.parametrize(
    "url",
    ["http://idp.example/jwks", "http://localhost/jwks", "http://8.8.8.8/jwks", "file:///etc/passwd",
     "https://", "https:///jwks", "https://a:b@idp.example/", "https://idp.example/#a", "jwks", 7,
     "https://idp.example:99999/", "https://idp.example/\r\nx: y", "gopher://a/"],
)  # fmt: skip
def test_where_keys_may_not_be(url: Any) -> None:
    with pytest.raises(ValidationError):
        JwtProvider.model_validate(PROVIDER | {"jwks_url": url})


def test_one_source_of_keys() -> None:
    with pytest.raises(ValidationError, match="exactly one"):
        JwtProvider.model_validate(PROVIDER | {"discovery": "https://idp.example/d"})
