"""Issues access tokens (signed, short-lived) and refresh tokens (random, used once, stored hashed).

A refresh token is not a JWT: it is looked up at each use anyway, and what is no JWT can never pass
for an access token.
"""

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jwt

from gateway.identity.signing import SigningKey
from gateway.identity.verifier import ACCESS_TYPE

__all__ = [
    "NewRefreshToken",
    "TokenIssuer",
    "fingerprint_claim",
    "new_refresh_token",
    "refresh_digest",
]

_REFRESH = re.compile(r"gwr_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class TokenIssuer:
    """Signs access tokens."""

    issuer: str
    audience: str
    ttl_s: int
    signing_key: Callable[[int], SigningKey]
    """The key that signs at a given time."""

    def access_token(
        self,
        user: str,
        session: str,
        scopes: Iterable[str],
        now_s: int,
        *,
        fingerprint: str | None = None,
    ) -> str:
        """A token for a session. ``fingerprint``: what the client must show with it."""
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": user,
            "scope": sorted(scopes),
            "sessionId": session,
            "iat": now_s,
            "nbf": now_s,
            "exp": now_s + self.ttl_s,
            "jti": secrets.token_urlsafe(16),
        }
        if fingerprint is not None:
            claims["client_fingerprint"] = fingerprint_claim(fingerprint)
        key = self.signing_key(now_s)
        headers = {"kid": key.kid, "typ": ACCESS_TYPE}
        return jwt.encode(claims, key.private_key, key.algorithm, headers)


class NewRefreshToken(NamedTuple):
    """A refresh token at the only moment when its text is known."""

    text: str
    digest: bytes
    """SHA-256: what is stored."""


def new_refresh_token() -> NewRefreshToken:
    """256 bits of the system's randomness."""
    text = f"gwr_{secrets.token_urlsafe(32)}"
    return NewRefreshToken(text, hashlib.sha256(text.encode()).digest())


def refresh_digest(text: str) -> bytes | None:
    """What to look for in the store; None if it is no refresh token."""
    return hashlib.sha256(text.encode()).digest() if _REFRESH.fullmatch(text) else None


def fingerprint_claim(fingerprint: str) -> str:
    """The hash that stands in the token: whoever reads it does not learn what must be shown."""
    return hashlib.sha256(fingerprint.encode()).hexdigest()
