"""The second factor: one-time passwords by time (TOTP, RFC 6238), and recovery codes.

A password of six digits is good for a minute and a half here, the step before and after included:
phones' clocks differ. Within that time it is good once, which the caller holds by keeping the last
accepted step. Recovery codes are for a lost phone: random, stored hashed, each good once.
"""

import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

import pyotp

__all__ = [
    "accepted_step",
    "new_recovery_codes",
    "new_secret",
    "provisioning_uri",
    "recovery_digest",
]

_HOST = re.compile(r"https?://(\[[^]]*\]|[^/:?#[]+)")
STEP_S = 30
DRIFT_STEPS = 1
"""Steps that a phone's clock may be early or late."""
RECOVERY_CODES = 10
_RECOVERY_DIGITS = "23456789abcdefghjkmnpqrstuvwxyz"
"""Without what is misread on paper: 0 and o, 1 and l and i."""
_RECOVERY_LENGTH = 16
"""79 bits: no slow hash is needed."""

_TOTP = re.compile(r"[0-9]{6}")


class RecoveryCodes(NamedTuple):
    """Codes at the only moment when they are known."""

    texts: list[str]
    digests: list[bytes]
    """What is stored."""


def new_secret() -> str:
    """160 bits in base32, as authenticator apps take it."""
    return pyotp.random_base32()


def provisioning_uri(secret: str, account: str, issuer: str) -> str:
    """``otpauth://…``, to be shown as a QR code."""
    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=_shown(issuer))


def _shown(issuer: str) -> str:
    """The host of a URL. In the label a colon ends the issuer (Key Uri Format), encoded or not:
    apps would show ``http`` beside ``//gateway.example.org:ann@example.org``.
    """
    host = _HOST.match(issuer)
    return (host[1] if host else issuer).strip("[]").replace(":", "-")


def accepted_step(secret: str, code: str, now_s: int, last_step: int) -> int | None:
    """The step that the code belongs to; None if to none, or to one up to ``last_step``.

    The caller keeps the answer, atomically, as the next ``last_step``.
    """
    if not _TOTP.fullmatch(code):
        return None
    totp = pyotp.TOTP(secret)
    found = None
    for step in range(now_s // STEP_S - DRIFT_STEPS, now_s // STEP_S + DRIFT_STEPS + 1):
        # All are compared, whatever the first said.
        if hmac.compare_digest(totp.generate_otp(step), code) and step > last_step:
            found = step
    return found


def new_recovery_codes() -> RecoveryCodes:
    """Ten codes such as ``k3vm-8qzt-…``."""
    texts = [
        "-".join("".join(secrets.choice(_RECOVERY_DIGITS) for _ in range(4)) for _ in range(4))
        for _ in range(RECOVERY_CODES)
    ]
    return RecoveryCodes(texts, [_digest(text) for text in texts])


def recovery_digest(text: str) -> bytes | None:
    """What to look for among the stored digests; None if it has not the form of a code."""
    plain = text.strip().lower()
    return _digest(plain) if len(plain.replace("-", "")) == _RECOVERY_LENGTH else None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.replace("-", "").encode()).digest()
