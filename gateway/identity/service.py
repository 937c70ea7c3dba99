"""The login service for one configuration: its parts, and whom it trusts."""

import ipaddress
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.config.auth import Auth
from gateway.identity.caller import Caller
from gateway.identity.enrolment import Mfa
from gateway.identity.lockout import Limits, Lockout
from gateway.identity.login import Login
from gateway.identity.own_keys import OwnKeys, Rotation
from gateway.identity.passwords import Cost, Passwords
from gateway.identity.providers import KeySets, Provider
from gateway.identity.reasons import CODES
from gateway.identity.revocation import Revoker
from gateway.identity.sessions import Lifetimes, Sessions
from gateway.identity.tokens import TokenIssuer, fingerprint_claim
from gateway.identity.trust import Trust, TrustedIssuer
from gateway.identity.verifier import Issuer, Verifier
from gateway.state.interface import State

if TYPE_CHECKING:
    from gateway._core import Segment
    from gateway.store.store import Store

__all__ = ["OWN_NAME", "IdentityService", "Parts", "providers_of", "token_life_s"]

OWN_NAME = "gateway"
"""The name of our own issuer in logs, and beside the names of providers."""
JWKS_MAX_AGE_S = 300
"""How long others may keep our key set; a new key is published longer before it signs."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Parts:
    """What outlives a reload."""

    store: "Callable[[], Store]"
    """Raises StoreUnavailable while there is none."""
    state: State
    segment: "Segment"
    keys: OwnKeys
    key_sets: KeySets
    revoker: Revoker
    clock: Callable[[], float] = time.time


class IdentityService:
    """Made anew when the configuration changes. Close it when it is no longer asked."""

    def __init__(self, parts: Parts, auth: Auth, trusted_proxies: Sequence[str]) -> None:
        self._parts = parts
        self._auth = auth
        self.trusted_proxies: tuple[Network, ...] = tuple(
            ipaddress.ip_network(network) for network in trusted_proxies
        )
        self._passwords = Passwords(Cost(auth.passwords.memory_kib, auth.passwords.passes))
        issuer = TokenIssuer(
            auth.issuer, auth.audience, int(auth.access_token_ttl), parts.keys.active
        )
        lifetimes = Lifetimes(auth.refresh_token_ttl, auth.session_ttl)
        self.sessions = Sessions(parts.store, issuer, lifetimes, parts.revoker, parts.clock)
        self.login = Login(
            parts.store, self._passwords, Lockout(parts.state), _limits(auth), parts.clock
        )
        self.mfa = Mfa(parts.store, parts.state, self.login, auth.issuer, parts.clock)
        self.max_password = auth.passwords.max_length
        self.jwks_max_age_s = min(JWKS_MAX_AGE_S, int(auth.signing.publish_before / 2))
        self.rotation = Rotation(
            auth.signing.algorithm,
            auth.signing.rotate_every,
            auth.signing.publish_before,
            token_life_s(auth),
        )

    def close(self) -> None:
        """End the threads that hash."""
        self._passwords.close()

    def jwks(self) -> list[dict[str, Any]]:
        """Our public keys."""
        return self._parts.keys.jwks()

    def trust(self, revocations_known: bool) -> Trust:
        """What workers go by."""
        own = TrustedIssuer(self._own_issuer(), self.jwks())
        others = [
            TrustedIssuer(
                Issuer(
                    provider.name,
                    provider.issuer,
                    frozenset(provider.audience),
                    frozenset(provider.algorithms),
                ),
                self._parts.key_sets.jwks(provider.name),
            )
            for provider in self._auth.jwt_providers
        ]
        return Trust([own, *others], int(self._auth.clock_skew), revocations_known)

    def caller(self, token: bytes, fingerprint: str | None) -> Caller | str:
        """Who shows one of our own tokens to the login endpoints; or the code of a refusal."""
        verifier = Verifier([self._own_issuer()], skew_s=int(self._auth.clock_skew))
        verifier.set_keys(OWN_NAME, self.jwks())
        found = verifier.verify(token, int(self._parts.clock()))
        if not isinstance(found, Caller):
            return CODES[found.reason]
        bound = found.claims.get("client_fingerprint")
        if bound is not None and (fingerprint is None or bound != fingerprint_claim(fingerprint)):
            return CODES["token_binding"]
        if self._parts.segment.is_revoked("session", found.session, found.issued_s):
            return CODES["token_revoked"]
        if self._parts.segment.is_revoked("user", found.user, found.issued_s):
            return CODES["token_revoked"]
        return found

    def _own_issuer(self) -> Issuer:
        # Of any kind of key: a token is bound to its key's kind anyway, and keys of the former
        # algorithm count on while they are replaced.
        algorithms = frozenset({"RS256", "ES256", "EdDSA"})
        audiences = frozenset({self._auth.audience})
        return Issuer(OWN_NAME, self._auth.issuer, audiences, algorithms, own=True)


def token_life_s(auth: Auth) -> int:
    """How long an access token is accepted after it was made."""
    return int(auth.access_token_ttl + auth.clock_skew)


def providers_of(auth: Auth) -> list[Provider]:
    """Where the keys of other issuers are."""
    return [
        Provider(each.name, each.issuer, each.jwks_url, each.discovery, each.allow_private)
        for each in auth.jwt_providers
    ]


def _limits(auth: Auth) -> Limits:
    lockout = auth.lockout
    return Limits(
        attempts=lockout.attempts,
        address_attempts=lockout.address_attempts,
        window_s=int(lockout.window),
        delay_after=lockout.delay_after,
        max_delay_s=lockout.max_delay,
    )
