"""What a worker needs to verify credentials: whose tokens, with which keys. Made by control.

It travels as JSON on the authority's socket, whenever something in it changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.identity.verifier import Issuer, Verifier

__all__ = ["Trust", "TrustedIssuer"]


@dataclass(frozen=True)
class TrustedIssuer:
    """An issuer and its public keys."""

    issuer: Issuer
    jwks: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Trust:
    """Everything that decides about a token but the time and the revocations."""

    issuers: Sequence[TrustedIssuer]
    skew_s: int
    revocations_known: bool = True
    """Whether this host hears of revocations, or may do without hearing of them."""

    def verifier(self) -> Verifier:
        """Ready to verify."""
        verifier = Verifier((trusted.issuer for trusted in self.issuers), skew_s=self.skew_s)
        for trusted in self.issuers:
            verifier.set_keys(trusted.issuer.name, trusted.jwks)
        return verifier

    def to_message(self) -> dict[str, Any]:
        """For the socket; ``from_message`` is the way back."""
        return {
            "skew_s": self.skew_s,
            "revocations_known": self.revocations_known,
            "issuers": [
                {
                    "name": trusted.issuer.name,
                    "issuer": trusted.issuer.issuer,
                    "audiences": sorted(trusted.issuer.audiences),
                    "algorithms": sorted(trusted.issuer.algorithms),
                    "own": trusted.issuer.own,
                    "jwks": list(trusted.jwks),
                }
                for trusted in self.issuers
            ],
        }

    @classmethod
    def from_message(cls, fields: Mapping[str, Any]) -> "Trust":
        """The trust that ``to_message`` described."""
        issuers = [
            TrustedIssuer(
                Issuer(
                    name=each["name"],
                    issuer=each["issuer"],
                    audiences=frozenset(each["audiences"]),
                    algorithms=frozenset(each["algorithms"]),
                    own=each["own"],
                ),
                each["jwks"],
            )
            for each in fields["issuers"]
        ]
        return cls(issuers, fields["skew_s"], fields["revocations_known"])
