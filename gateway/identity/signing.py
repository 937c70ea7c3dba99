"""Our own signing keys: made, written, and which of several signs and which are still trusted.

Rotation needs no moment at which everybody changes at once. A new key is published for a while
before it signs, so that caches everywhere know it; an old one is published until the last token
that it signed has expired. Both follow from the keys' ages alone, so all hosts agree.
"""

import base64
import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

__all__ = ["KeyRing", "SigningAlgorithm", "SigningKey", "new_signing_key"]

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
    created_s: int

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


def new_signing_key(algorithm: SigningAlgorithm, now_s: int) -> SigningKey:
    """Make a key pair. RSA takes tenths of a second: call it in a thread. ``kid``: RFC 7638."""
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    if algorithm == "RS256":
        key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    elif algorithm == "ES256":
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    jwk = _jwk(algorithm, key)
    digest = hashlib.sha256(orjson.dumps({m: jwk[m] for m in _THUMBPRINT if m in jwk})).digest()
    kid = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return SigningKey(kid, algorithm, pem.decode(), now_s)


def _jwk(algorithm: SigningAlgorithm, private_key: Any) -> dict[str, Any]:
    jwk: dict[str, Any] = _WRITERS[algorithm].to_jwk(private_key.public_key(), as_dict=True)
    return {member: jwk[member] for member in _THUMBPRINT if member in jwk}


@dataclass(frozen=True)
class KeyRing:
    """All signing keys that have not been withdrawn."""

    keys: Sequence[SigningKey]
    publish_before_s: int
    """How long a key is published before it signs."""
    keep_s: int
    """How long the last signature of a key may be good: lifetime of a token and clock skew."""

    def active(self, now_s: int) -> SigningKey:
        """The key that signs: the newest that has been published long enough, else the oldest."""
        ripe = [key for key in self.keys if key.created_s + self.publish_before_s <= now_s]
        return max(ripe, key=_age) if ripe else min(self.keys, key=_age)

    def published(self, now_s: int) -> list[SigningKey]:
        """The keys whose signatures are accepted, the newest first."""
        ordered = sorted(self.keys, key=_age, reverse=True)
        # A key stops signing when the next newer one is ripe.
        kept = [
            older
            for newer, older in itertools.pairwise(ordered)
            if now_s < newer.created_s + self.publish_before_s + self.keep_s
        ]
        return [*ordered[:1], *kept]


def _age(key: SigningKey) -> tuple[int, str]:
    return key.created_s, key.kid
