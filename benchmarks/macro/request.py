"""The measured request: what a browser application sends with its access token."""

import base64
import json
from functools import cache

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

HOST = "api.example.com"
PATH = "/identity/profile"
ECHO_PATH = "/identity/echo"
"""Answered by the upstream with the head that it received, for the parity check."""

KEYS_PATH = "/jwks.json"
"""Where the upstream has the key set of the token's issuer."""
ISSUER = "https://id.example.com"
AUDIENCE = "api"

BODY = '{"id":"u_102","name":"Ada Lovelace","plan":"pro","scopes":["read","write"],"ok":true}'
"""The upstream's answer: 85 bytes."""


KEY_ID = "k01"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@cache
def signing_key() -> RSAPrivateKey:
    """The issuer's: another one for each run of the benchmark, with 2048 bits."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def key_set() -> str:
    """The public key as a JWK set (RFC 7517): where a proxy that verifies tokens gets it."""
    numbers = signing_key().public_key().public_numbers()
    n, e = (value.to_bytes((value.bit_length() + 7) // 8) for value in (numbers.n, numbers.e))
    key = {"kty": "RSA", "kid": KEY_ID, "alg": "RS256", "use": "sig"}
    return json.dumps({"keys": [key | {"n": _base64url(n), "e": _base64url(e)}]})


@cache
def bearer_token() -> str:
    """An RS256 JWT of 560 bytes, the same for a whole run. 342 of them are the signature."""
    return new_token("9")


def new_token(name: str) -> str:
    """The same token but for its name (``jti``), so that nobody has seen it."""
    head = {"alg": "RS256", "typ": "JWT", "kid": KEY_ID}
    claims = {
        "iss": ISSUER,
        "sub": "u_102",
        "aud": AUDIENCE,
        "scope": "read write",
        "iat": 1700000000,
        "exp": 4102444800,
        "jti": name,
    }
    compact = [json.dumps(part, separators=(",", ":")).encode() for part in (head, claims)]
    signed = ".".join(map(_base64url, compact))
    return f"{signed}.{_base64url(signing_key().sign(signed.encode(), PKCS1v15(), SHA256()))}"


FIELDS: tuple[tuple[str, str], ...] = (
    ("Host", HOST),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36"),
    ("Accept", "application/json, text/plain, */*"),
    ("Accept-Language", "en-GB,en;q=0.9"),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("Authorization", f"Bearer {bearer_token()}"),
    ("Origin", "https://app.example.com"),
    ("Referer", "https://app.example.com/profile"),
    ("Sec-Fetch-Mode", "cors"),
)


def field_lines() -> list[str]:
    """The header fields as they stand on the wire, without line ends."""
    return [f"{name}: {value}" for name, value in FIELDS]
