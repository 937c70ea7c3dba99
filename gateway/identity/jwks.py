"""Public keys: from a JWK set (RFC 7517) to keys that verify, each bound to its algorithms.

A key is bound by its kind, and by its ``alg`` if it has one, so that no token can choose how its
signature is read. Symmetric keys are no keys here: a public key used as one is the oldest forgery.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import (
    Algorithm,
    ECAlgorithm,
    OKPAlgorithm,
    RSAAlgorithm,
    get_default_algorithms,
)
from jwt.exceptions import PyJWTError

from gateway.identity.strict_json import loads_object

__all__ = ["ALGORITHMS", "PublicKey", "parse_jwk_set", "public_jwks", "verification_keys"]

MAX_KEYS = 64
"""Of one set. Providers publish two to ten."""
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
"""A larger one only makes each signature slow to check."""

_BY_KIND: Final[dict[tuple[str, str | None], tuple[str, ...]]] = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""Kind and curve → the algorithms that such a key can verify (RFC 7518 §3.1, RFC 8037)."""

ALGORITHMS: Final = tuple(name for names in _BY_KIND.values() for name in names)
"""All that can be configured. No HMAC, no ``none``."""

_PUBLIC_MEMBERS: Final = ("kty", "crv", "n", "e", "x", "y", "kid", "alg")

_IMPLEMENTED: Final[dict[str, Algorithm]] = {
    name: algorithm for name, algorithm in get_default_algorithms().items() if name in ALGORITHMS
}
_PARSERS: Final[dict[str, Any]] = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies, and what with."""

    key: Any
    algorithms: frozenset[str]

    def verifies(self, algorithm: str, signed: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's. The caller has checked the algorithm."""
        implementation: Any = _IMPLEMENTED[algorithm]
        try:
            return bool(implementation.verify(signed, self.key, signature))
        except (ValueError, TypeError):  # a signature that is not even of the right form
            return False


def parse_jwk_set(data: bytes) -> list[dict[str, Any]]:
    """A fetched document → the members of its usable keys. ValueError if it is no JWK set.

    A key that cannot be used here (for encryption, symmetric, of an unknown kind) is left out, as
    RFC 7517 §5 asks.
    """
    keys = loads_object(data).get("keys")
    if not isinstance(keys, list) or len(keys) > MAX_KEYS:
        raise ValueError(f"no list of at most {MAX_KEYS} keys")
    return public_jwks(keys)


def public_jwks(jwks: Iterable[Any]) -> list[dict[str, Any]]:
    """Of each usable key what is public; of two with one ``kid`` the first."""
    usable: dict[str | None, dict[str, Any]] = {}
    for jwk in jwks:
        if isinstance(jwk, dict) and _public_key(jwk) is not None:
            usable.setdefault(jwk.get("kid"), {m: jwk[m] for m in _PUBLIC_MEMBERS if m in jwk})
    return list(usable.values())


def verification_keys(jwks: Iterable[Mapping[str, Any]]) -> dict[str | None, PublicKey]:
    """``kid`` → key. A key without one is found by tokens without one."""
    found: dict[str | None, PublicKey] = {}
    for jwk in jwks:
        key = _public_key(jwk)
        if key is not None:
            found.setdefault(jwk.get("kid"), key)
    return found


def _public_key(jwk: Mapping[str, Any]) -> PublicKey | None:
    kid, use, operations = jwk.get("kid"), jwk.get("use", "sig"), jwk.get("key_ops", ["verify"])
    if not isinstance(kid, str | None) or use != "sig":
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    algorithms = _algorithms_of(jwk)
    if not algorithms:
        return None
    members = {name: jwk[name] for name in _PUBLIC_MEMBERS if name in jwk}
    try:
        key = _PARSERS[members["kty"]].from_jwk(members)
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None
    if isinstance(key, RSAPublicKey) and not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        return None
    if not isinstance(key, RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey):
        return None
    return PublicKey(key, frozenset(algorithms))


def _algorithms_of(jwk: Mapping[str, Any]) -> tuple[str, ...]:
    kind, curve, named = jwk.get("kty"), jwk.get("crv"), jwk.get("alg")
    if not isinstance(kind, str) or not isinstance(curve, str | None):
        return ()
    possible = _BY_KIND.get((kind, curve), ())
    if named is None:
        return possible
    return (named,) if named in possible else ()
