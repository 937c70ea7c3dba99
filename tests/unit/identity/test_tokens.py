"""Our tokens before the eyes of other libraries, and theirs before ours."""

from typing import Any, get_args

import jwt
import pytest
from joserfc import jwt as jose
from joserfc.jwk import KeySet, import_key

from gateway.identity.caller import Caller
from gateway.identity.signing import KeyRing, SigningAlgorithm, SigningKey, new_signing_key
from gateway.identity.tokens import (
    TokenIssuer,
    fingerprint_claim,
    new_refresh_token,
    refresh_digest,
)
from gateway.identity.verifier import Issuer, Rejected, Verifier
from tests.unit.identity.forge import AUDIENCE, NOW, OWN, STRANGER, own_claims

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # RFC 9864: too new for all

KEYS = [new_signing_key(algorithm, NOW - 9999) for algorithm in get_args(SigningAlgorithm)]
each_key = pytest.mark.parametrize("key", KEYS, ids=[key.algorithm for key in KEYS])


def issuer_with(key: SigningKey) -> TokenIssuer:
    return TokenIssuer(OWN, AUDIENCE, 900, KeyRing([key]).active)


def verifier_with(key: SigningKey) -> Verifier:
    issuer = Issuer("gateway", OWN, frozenset({AUDIENCE}), frozenset({key.algorithm}), own=True)
    verifier = Verifier([issuer], skew_s=30)
    verifier.set_keys("gateway", [key.public_jwk])
    return verifier


@each_key
def test_our_verifier_takes_our_tokens(key: SigningKey) -> None:
    token = issuer_with(key).access_token("u-1", "s-1", ["write", "read"], NOW)
    found = verifier_with(key).verify(token.encode(), NOW)
    assert isinstance(found, Caller)
    assert (found.user, found.session) == ("u-1", "s-1")
    assert (found.issued_s, found.expires_s) == (NOW, NOW + 900)
    assert found.scopes == {"read", "write"}


@each_key
def test_other_libraries_take_our_tokens(key: SigningKey) -> None:
    token = issuer_with(key).access_token("u-1", "s-1", ["read"], NOW, fingerprint="device 7")
    claims = jwt.decode(
        token, jwt.PyJWK(key.public_jwk), [key.algorithm], audience=AUDIENCE, issuer=OWN,
        options={"verify_exp": False, "verify_nbf": False, "verify_iat": False,
                 "require": ["exp", "iat", "nbf", "jti", "sub", "iss", "aud"]},
    )  # fmt: skip
    decoded = jose.decode(token, KeySet([import_key(key.public_jwk)]), algorithms=[key.algorithm])
    assert decoded.claims == claims
    assert decoded.header == {"alg": key.algorithm, "kid": key.kid, "typ": "at+jwt"}
    assert claims["scope"] == ["read"]
    assert claims["sessionId"] == "s-1"
    assert claims["client_fingerprint"] == fingerprint_claim("device 7")
    assert "device" not in str(claims)


def encode_with_pyjwt(key: SigningKey, claims: dict[str, Any], kid: str) -> str:
    return jwt.encode(claims, key.private_key, key.algorithm, {"kid": kid, "typ": "at+jwt"})


def encode_with_joserfc(key: SigningKey, claims: dict[str, Any], kid: str) -> str:
    header = {"alg": key.algorithm, "kid": kid, "typ": "at+jwt"}
    return jose.encode(header, claims, import_key(key.private_pem, _kind(key)), [key.algorithm])


def _kind(key: SigningKey) -> Any:
    return key.public_jwk["kty"]


@each_key
@pytest.mark.parametrize("encode", [encode_with_pyjwt, encode_with_joserfc])
def test_what_other_libraries_make(encode: Any, key: SigningKey) -> None:
    verifier = verifier_with(key)

    def verdict(claims: dict[str, Any], by: SigningKey = key, kid: str = key.kid) -> str:
        found = verifier.verify(encode(by, claims, kid).encode(), NOW)
        return found.reason if isinstance(found, Rejected) else "accepted"

    assert verdict(own_claims()) == "accepted"
    assert verdict(own_claims(aud="other")) == "token_audience"
    assert verdict(own_claims(iss="https://evil.example")) == "token_issuer"
    assert verdict(own_claims(exp=NOW - 31)) == "token_expired"
    assert verdict(own_claims(nbf=NOW + 31)) == "token_not_yet_valid"
    assert verdict(own_claims(), kid="other") == "token_key_unknown"
    stranger = new_signing_key(key.algorithm, NOW)
    assert verdict(own_claims(), by=stranger) == "token_signature"
    if key.algorithm != "RS256":
        assert verdict(own_claims(), by=STRANGER) == "token_algorithm"


def test_tokens_differ() -> None:
    issuer = issuer_with(KEYS[2])
    assert len({issuer.access_token("u", "s", [], NOW) for _ in range(100)}) == 100


def test_refresh_tokens() -> None:
    token = new_refresh_token()
    assert refresh_digest(token.text) == token.digest
    assert new_refresh_token().text != token.text
    for text in ("", "gwr_", token.text + "A", token.text[:-1], f" {token.text}", "a.b.c"):
        assert refresh_digest(text) is None


def test_a_refresh_token_is_no_access_token() -> None:
    found = verifier_with(KEYS[0]).verify(new_refresh_token().text.encode(), NOW)
    assert found == Rejected("token_malformed")
