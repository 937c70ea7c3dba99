"""The one form in which an email address is stored and looked up."""

import re
import unicodedata

__all__ = ["canonical", "normalise_email"]

MAX_LENGTH = 254
"""RFC 5321 section 4.5.3.1.3, less the angle brackets."""

_EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f\"<>(),:;\\\[\]]{1,64}@[^\s@\x00-\x1f\x7f]+")


def canonical(text: str) -> str:
    """Lower case, NFC, without blanks around it; of any text."""
    return unicodedata.normalize("NFC", text.strip()).lower()


def normalise_email(text: str) -> str:
    """The `canonical` form. ValueError if it is no address."""
    email = canonical(text)
    if len(email) > MAX_LENGTH or not _EMAIL.fullmatch(email):
        shown = text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}…"
        raise ValueError(f"{shown!r} is not an email address, such as ann@example.org")
    return email
