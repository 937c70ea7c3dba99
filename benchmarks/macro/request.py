"""The measured request: what a browser application sends with its access token."""

import base64
import json
import random

HOST = "api.example.com"
PATH = "/identity/profile"
ECHO_PATH = "/identity/echo"
"""Answered by the upstream with the head that it received, for the parity check."""

BODY = '{"id":"u_102","name":"Ada Lovelace","plan":"pro","scopes":["read","write"],"ok":true}'
"""The upstream's answer: 85 bytes."""


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def bearer_token() -> str:
    """An RS256 JWT in form and size (560 bytes); its signature is noise, the same on every run.

    Plain proxying does not verify it. 342 of its characters are the signature of a 2048-bit key.
    """
    head = {"alg": "RS256", "typ": "JWT", "kid": "k01"}
    claims = {
        "iss": "https://id.example.com",
        "sub": "u_102",
        "aud": "api",
        "scope": "read write",
        "iat": 1700000000,
        "exp": 1700000900,
        "jti": "9",
    }
    compact = [json.dumps(part, separators=(",", ":")).encode() for part in (head, claims)]
    signature = random.Random(0).randbytes(2048 // 8)
    return ".".join(_base64url(part) for part in (*compact, signature))


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
