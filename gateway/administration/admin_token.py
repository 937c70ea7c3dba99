"""Tokens of the admin API: ``gwa_<id>_<secret>``, shown once and stored as a digest."""

import hashlib
import secrets
from dataclasses import dataclass, field

__all__ = ["NewAdminToken", "digest_of", "new_admin_token"]

PREFIX = "gwa"
SECRET_BYTES = 32
"""256 bits: nobody guesses it, so that a plain hash protects it."""


@dataclass(frozen=True)
class NewAdminToken:
    """A token at the only moment when its text is known."""

    id: str
    text: str = field(repr=False)
    digest: bytes = field(repr=False)


def new_admin_token() -> NewAdminToken:
    """Make one from the system's randomness."""
    token_id = secrets.token_hex(6)
    text = f"{PREFIX}_{token_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
    return NewAdminToken(token_id, text, digest_of(text))


def digest_of(text: str) -> bytes:
    """What is stored. Looking a digest up tells nothing by its time: the text cannot be steered."""
    return hashlib.sha256(text.encode()).digest()
