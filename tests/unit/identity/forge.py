"""Tokens made by hand: any header, any claims, any signature."""

import base64
import hashlib
import hmac
import json
from typing import Any

from jwt.algorithms import get_default_algorithms

from gateway.identity.signing import SigningKey, new_signing_key
from gateway.identity.verifier import Issuer, Verifier

NOW = 1_800_000_000
OWN = "https://gateway.example"
FOREIGN = "https://idp.example"
AUDIENCE = "api"

OWN_KEY = new_signing_key("RS256", NOW - 1000)
EC_KEY = new_signing_key("ES256", NOW - 1000)
ED_KEY = new_signing_key("EdDSA", NOW - 1000)
STRANGER = new_signing_key("RS256", NOW - 1000)


def part(value: Any) -> str:
    """base64url of bytes, text, or of anything else as JSON."""
    if isinstance(value, str):
        value = value.encode()
    if not isinstance(value, bytes):
        value = json.dumps(value).encode()
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def own_claims(**changes: Any) -> dict[str, Any]:
    """What our tokens say; None leaves a claim out."""
    claims: dict[str, Any] = {
        "iss": OWN, "aud": AUDIENCE, "sub": "u-1", "scope": ["read"], "sessionId": "s-1",
        "iat": NOW - 60, "nbf": NOW - 60, "exp": NOW + 840, "jti": "j-1",
    } | changes  # fmt: skip
    return {name: value for name, value in claims.items() if value is not None}


def foreign_claims(**changes: Any) -> dict[str, Any]:
    foreign = {"iss": FOREIGN, "sessionId": None, "sub": "alice"}
    return own_claims(**(foreign | changes))


def sign(
    header: dict[str, Any] | str, claims: dict[str, Any] | str, key: SigningKey, algorithm: str = ""
) -> bytes:
    """Signed as the key's algorithm signs, whatever the header says."""
    signed = f"{part(header)}.{part(claims)}".encode()
    implementation: Any = get_default_algorithms()[algorithm or key.algorithm]
    return signed + b"." + part(implementation.sign(signed, key.private_key)).encode()


def sign_hmac(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> bytes:
    signed = f"{part(header)}.{part(claims)}".encode()
    return signed + b"." + part(hmac.digest(secret, signed, hashlib.sha256)).encode()


def own_token(
    key: SigningKey = OWN_KEY, header: dict[str, Any] | None = None, **claims: Any
) -> bytes:
    """A token of ours; None in ``header`` leaves a member out."""
    members = {"alg": key.algorithm, "kid": key.kid, "typ": "at+jwt"} | (header or {})
    return sign({k: v for k, v in members.items() if v is not None}, own_claims(**claims), key)


def foreign_token(key: SigningKey = EC_KEY, **claims: Any) -> bytes:
    return sign({"alg": key.algorithm, "kid": key.kid}, foreign_claims(**claims), key)


def make_verifier() -> Verifier:
    """Knows us (one RSA key), and a stranger with an EC and an Ed25519 key."""
    verifier = Verifier(
        [
            Issuer("gateway", OWN, frozenset({AUDIENCE}), frozenset({"RS256"}), own=True),
            Issuer("idp", FOREIGN, frozenset({AUDIENCE}), frozenset({"ES256", "EdDSA"})),
        ],
        skew_s=30,
    )
    verifier.set_keys("gateway", [OWN_KEY.public_jwk])
    verifier.set_keys("idp", [EC_KEY.public_jwk, ED_KEY.public_jwk])
    return verifier
