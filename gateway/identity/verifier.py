"""Verifies tokens, ours and those of other issuers. No I/O: key sets are given to it.

The rules are those of RFC 8725. The order of the steps is fixed: form, issuer, algorithm, key,
signature, claims. So a reason later in the order means that all before it was right.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.identity.caller import Caller
from gateway.identity.jwks import PublicKey, verification_keys
from gateway.identity.jws import Jws, parse_jws
from gateway.identity.reasons import Reason

__all__ = ["ACCESS_TYPE", "Issuer", "Rejected", "Verifier"]

ACCESS_TYPE = "at+jwt"
"""``typ`` of our access tokens (RFC 9068): no other signed document of ours passes for one."""
_FOREIGN_TYPES = frozenset({None, "jwt", ACCESS_TYPE})

MAX_SCOPES = 256
_NAMES = ("sub", "client_id", "azp", "sessionId", "sid", "jti")
"""Claims that name somebody or something."""
_NAME = re.compile(r"[\x21-\x7e]{1,255}")
"""What becomes the value of a header field for services: visible ASCII, no spaces."""
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,255}")
"""RFC 6749 §3.3, and short."""
_LATEST = 1 << 53
"""Seconds. Beyond this JSON's numbers are not exact."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Somebody whose tokens are accepted."""

    name: str
    issuer: str
    """``iss``, character for character."""
    audiences: frozenset[str]
    """Of which one must be in ``aud``."""
    algorithms: frozenset[str]
    own: bool = False
    """Whether it is this gateway."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """Why a token is not accepted."""

    reason: Reason
    issuer: str | None = None
    """The name of the issuer it claims, if that is one of ours: to ask for newer keys."""


class Verifier:
    """Checks one token after another. Key sets may be exchanged between two of them."""

    def __init__(self, issuers: Iterable[Issuer], *, skew_s: int) -> None:
        """``skew_s``: by how much clocks may differ."""
        self._issuers = {issuer.issuer: issuer for issuer in issuers}
        self._skew_s = skew_s
        self._keys: dict[str, dict[str | None, PublicKey]] = {}

    def set_keys(self, name: str, jwks: Iterable[Mapping[str, Any]]) -> None:
        """Use these keys, and no others, for the issuer of that name."""
        self._keys[name] = verification_keys(jwks)

    def verify(self, token: bytes, now_s: int) -> Caller | Rejected:
        """Who the token speaks for, or why it is refused."""
        jws = parse_jws(token)
        if not isinstance(jws, Jws):
            return Rejected(jws)
        name = jws.claims.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            return Rejected("token_issuer")
        if jws.type not in ({ACCESS_TYPE} if issuer.own else _FOREIGN_TYPES):
            return Rejected("token_type", issuer.name)
        if jws.algorithm not in issuer.algorithms:
            return Rejected("token_algorithm", issuer.name)
        key = self._keys.get(issuer.name, {}).get(jws.kid)
        if key is None:
            return Rejected("token_key_unknown", issuer.name)
        if jws.algorithm not in key.algorithms:
            return Rejected("token_algorithm", issuer.name)
        if not key.verifies(jws.algorithm, jws.signed, jws.signature):
            return Rejected("token_signature", issuer.name)
        accepted = self._accept(jws.claims, issuer, now_s)
        return accepted if isinstance(accepted, Caller) else Rejected(accepted, issuer.name)

    def _accept(self, claims: dict[str, Any], issuer: Issuer, now_s: int) -> Caller | Reason:
        audience = claims.get("aud")
        audiences = [audience] if isinstance(audience, str) else audience
        if not isinstance(audiences, list) or not all(isinstance(a, str) for a in audiences):
            return "token_audience"
        if issuer.audiences.isdisjoint(audiences):
            return "token_audience"
        expires, begins, issued = (_time(claims, name) for name in ("exp", "nbf", "iat"))
        # exp and iat are required: without them a token could neither end nor be revoked.
        if expires is None or issued is None or begins == _WRONG or _WRONG in (expires, issued):
            return "token_claims"
        if now_s >= expires + self._skew_s:
            return "token_expired"
        if max(begins or 0, issued) > now_s + self._skew_s:
            return "token_not_yet_valid"
        return _caller(claims, issuer, expires, issued) or "token_claims"


_WRONG = -1


def _time(claims: Mapping[str, Any], name: str) -> int | None:
    """Seconds; None if the claim is missing, `_WRONG` if it is no time."""
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    return value if type(value) is int and 0 <= value < _LATEST else _WRONG


def _caller(claims: dict[str, Any], issuer: Issuer, expires: int, issued: int) -> Caller | None:
    """The caller; None if a claim that names something has not the form of a name."""
    names = {claim: claims.get(claim, "") for claim in _NAMES}
    if not all(name == "" or _is_name(name) for name in names.values()):
        return None
    scopes = _scopes(claims.get("scope", claims.get("scp", [])))
    user, client = names["sub"], names["client_id"] or names["azp"]
    session = names["sessionId"] or names["sid"]
    if scopes is None or not (user or client) or (issuer.own and not (user and session)):
        return None
    return Caller(
        user=user,
        client=client,
        key="",
        session=session,
        issuer=issuer.name,
        scopes=scopes,
        claims=claims,
        expires_s=expires,
        issued_s=issued,
    )


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _scopes(value: Any) -> frozenset[str] | None:
    """A list, or text with spaces between (RFC 8693 §4.2)."""
    names = value.split(" ") if isinstance(value, str) and value else value or []
    if not isinstance(names, list) or len(names) > MAX_SCOPES:
        return None
    if not all(isinstance(name, str) and _SCOPE.fullmatch(name) for name in names):
        return None
    return frozenset(names)
