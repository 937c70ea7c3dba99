"""Our own signing keys: made, written, and which of several signs and which are still trusted.

Rotation needs no moment at which everybody changes at once. A new key is published for a while
before it signs, so that caches everywhere know it; an old one is published until the last token
that it signed has expired. Each key carries both times with it, so all hosts agree.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

__all__ = ["KeyRing", "SigningAlgorithm", "SigningKey", "new_signing_key", "thumbprint"]

SigningAlgorithm = Literal["RS256", "ES256", "EdDSA"]

RSA_BITS = 2048
"""112 bits of security, NIST's minimum until 2030; keys live for months, tokens for minutes."""

_WRITERS: Final[dict[str, Any]] = {
    "RS256": RSAAlgorithm,
    "ES256": ECAlgorithm,
    "EdDSA": OKPAlgorithm,
}
_THUMBPRINT: Final = ("crv", "e", "kty", "n", "x", "y")
"""The required members of each kind, in the order that RFC 7638 §3.2 asks for."""


@dataclass(frozen=True)
class SigningKey:
    """A private key of this gateway."""

    kid: str
    algorithm: SigningAlgorithm
    private_pem: str
    """PKCS #8. A secret: it goes to the store and nowhere else."""
    not_before_s: int
    """Unix time from which on it signs; before, it is only published."""
    retire_s: int | None = None
    """Unix time from which on it does not count any more."""

    def __repr__(self) -> str:
        """Without the secret."""
        return f"SigningKey(kid={self.kid!r}, algorithm={self.algorithm!r})"

    @cached_property
    def private_key(self) -> Any:
        """For PyJWT."""
        return serialization.load_pem_private_key(self.private_pem.encode(), password=None)

    @cached_property
    def public_jwk(self) -> dict[str, Any]:
        """As it is published."""
        return {
            **_jwk(self.algorithm, self.private_key),
            "kid": self.kid,
            "use": "sig",
            "alg": self.algorithm,
        }


def new_signing_key(algorithm: SigningAlgorithm, not_before_s: int) -> SigningKey:
    """Make a key pair. RSA takes tenths of a second: call it in a thread. ``kid``: RFC 7638."""
    key = _new_private_key(algorithm)
    kid = thumbprint(_jwk(algorithm, key))
    if kid.startswith("-"):  # one in 64; `gateway signing-keys retire` would see an option
        return new_signing_key(algorithm, not_before_s)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return SigningKey(kid, algorithm, pem.decode(), not_before_s)


def _new_private_key(
    algorithm: SigningAlgorithm,
) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey:
    if algorithm == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """The name of a public key that follows from the key (RFC 7638)."""
    digest = hashlib.sha256(orjson.dumps({m: jwk[m] for m in _THUMBPRINT if m in jwk})).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _jwk(algorithm: SigningAlgorithm, private_key: Any) -> dict[str, Any]:
    jwk: dict[str, Any] = _WRITERS[algorithm].to_jwk(private_key.public_key(), as_dict=True)
    return {member: jwk[member] for member in _THUMBPRINT if member in jwk}


@dataclass(frozen=True)
class KeyRing:
    """All signing keys."""

    keys: Sequence[SigningKey]

    def active(self, now_s: int) -> SigningKey:
        """The key that signs: the newest whose time has come, else the one whose comes first."""
        counting = self.published(now_s)
        if not counting:
            raise LookupError("there is no signing key")
        return next((key for key in counting if key.not_before_s <= now_s), counting[-1])

    def published(self, now_s: int) -> list[SigningKey]:
        """The keys whose signatures are accepted, the newest first."""
        counting = [key for key in self.keys if key.retire_s is None or now_s < key.retire_s]
        return sorted(counting, key=lambda key: (key.not_before_s, key.kid), reverse=True)
