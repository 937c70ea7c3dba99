"""The outer form of a signed token (RFC 7515 compact), read once and strictly; nothing is believed.

What could be read in two ways is refused: unused bits in base64url, padding, repeated keys. Of
the header only ``alg``, ``kid``, ``typ``, ``crit`` and ``b64`` are ever looked at: a key or a URL
that a token brings along (``jwk``, ``jku``, ``x5u``, ``x5c``) is as good as absent.
"""

import base64
import re
from dataclasses import dataclass
from typing import Any

from gateway.identity.reasons import Reason
from gateway.identity.strict_json import loads_object

__all__ = ["MAX_TOKEN", "Jws", "parse_jws"]

MAX_TOKEN = 8 * 1024
"""Bytes. Tokens of large directories have 4 KiB; the head limit for all fields is 16 KiB."""
MAX_KID = 256
"""Characters. Thumbprints have 43."""

_COMPACT = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
"""Three parts, none of them empty: no unsigned token, no JWE (five parts)."""


@dataclass(frozen=True, slots=True)
class Jws:
    """A token that is well formed. Its signature has not been looked at."""

    algorithm: str
    kid: str | None
    type: str | None
    """``typ`` in lower case, without ``application/`` (RFC 7515 §4.1.9)."""
    claims: dict[str, Any]
    signed: bytes
    """What the signature covers."""
    signature: bytes


def parse_jws(token: bytes) -> Jws | Reason:
    """Take a token apart."""
    if len(token) > MAX_TOKEN:
        return "token_too_large"
    match = _COMPACT.fullmatch(token)
    if match is None:
        return "token_malformed"
    try:
        header, claims = (loads_object(_decode(match[part])) for part in (1, 2))
        signature = _decode(match[3])
    except ValueError:
        return "token_malformed"
    algorithm, kid, type_ = header.get("alg"), header.get("kid"), header.get("typ")
    # We implement no extension, so every critical one is unknown (RFC 7515 §4.1.11, RFC 7797 §6).
    if "crit" in header or "b64" in header or not isinstance(algorithm, str):
        return "token_header"
    if not isinstance(kid, str | None) or (kid is not None and not 0 < len(kid) <= MAX_KID):
        return "token_header"
    if not isinstance(type_, str | None):
        return "token_header"
    if type_ is not None:
        type_ = type_.lower().removeprefix("application/")
    return Jws(algorithm, kid, type_, claims, token[: match.end(2)], signature)


def _decode(part: bytes) -> bytes:
    """base64url without padding. ValueError if the same bytes have another spelling."""
    data = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(data).rstrip(b"=") != part:
        raise ValueError("unused bits are set")
    return data
