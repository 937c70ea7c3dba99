"""Who is calling, as a credential has shown it."""

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Caller"]


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal. Its names are visible ASCII without spaces, so they may stand in a field.

    A name is empty where the credential has none.
    """

    user: str
    """Who it is; empty if a client acts for itself."""
    client: str
    """By which application."""
    key: str
    """Id of the API key; empty for a token."""
    session: str
    """Id of the login; empty for a key, and for tokens that have none."""
    issuer: str
    """Name of the token's issuer in the configuration; empty for a key."""
    scopes: frozenset[str]
    claims: dict[str, Any] = field(hash=False)
    """All claims of the token; empty for a key."""
    expires_s: int
    """Unix time from which on the credential, or what is known of it, is no longer good."""
    issued_s: int
    """Unix time of its making: what was revoked later than this concerns it."""
    rate_limit_policy: str = ""
    """That its key is bound to, for the tiers of limits; empty for a token, and for most keys."""

    @property
    def bound(self) -> bool:
        """Whether the token holds only beside the fingerprint that its client shows."""
        return "client_fingerprint" in self.claims
