"""API keys: ``gwk_<id>_<secret>``, shown once and stored as a digest.

The id is public: it names the key in lists, logs and look-ups. The secret ends with a checksum, so
that a mistyped or invented key costs no look-up, and scanners can tell a leaked one from noise. All
characters are letters, digits and underscores: a double click takes the whole key.
"""

import hashlib
import hmac
import re
import secrets
import zlib
from typing import NamedTuple

__all__ = ["NewKey", "matches", "new_key", "parse_key"]

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 12
"""62 bits: no two keys of one gateway will ever share an id by chance."""
_SECRET_BITS = 256
_SECRET_LENGTH = 43
"""62^43 > 2^256."""
_CHECKSUM_LENGTH = 6
"""62^6 > 2^32."""

_KEY = re.compile(
    rf"gwk_([0-9a-z]{{{_ID_LENGTH}}})_[0-9A-Za-z]{{{_SECRET_LENGTH + _CHECKSUM_LENGTH}}}"
)


class NewKey(NamedTuple):
    """A key at the only moment when its text is known."""

    id: str
    text: str
    """For its owner. Never stored, never logged."""
    digest: bytes
    """SHA-256 of the text: what is stored. 256 random bits need no salt and no slow hash."""


def new_key(key_id: str | None = None) -> NewKey:
    """Make a key from the system's randomness; with `key_id`, another text for that key."""
    if key_id is None:
        key_id = "".join(secrets.choice(_ID_DIGITS) for _ in range(_ID_LENGTH))
    body = f"gwk_{key_id}_{_number(secrets.randbits(_SECRET_BITS), _SECRET_LENGTH)}"
    text = body + _checksum(body)
    return NewKey(key_id, text, _digest(text))


def parse_key(text: str) -> tuple[str, bytes] | None:
    """Id and digest; None if the text is no key of ours or its checksum is wrong."""
    match = _KEY.fullmatch(text)
    if match is None or _checksum(text[:-_CHECKSUM_LENGTH]) != text[-_CHECKSUM_LENGTH:]:
        return None
    return match[1], _digest(text)


def matches(stored: bytes, digest: bytes) -> bool:
    """Whether two digests are equal, in a time that does not tell how far they agree."""
    return hmac.compare_digest(stored, digest)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _checksum(body: str) -> str:
    return _number(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)


def _number(value: int, length: int) -> str:
    digits = []
    for _ in range(length):
        value, digit = divmod(value, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
