"""Why a credential was refused. The reason is for the log; the client gets a coarser code.

``token_signature`` and ``token_audience`` would tell an attacker how near a forgery came. An honest
client needs to know only whether to refresh, to log in again, or to come back later.
"""

from typing import Final, Literal

__all__ = ["CODES", "Reason"]

Reason = Literal[
    "token_too_large",
    "token_malformed",
    "token_header",
    "token_type",
    "token_algorithm",
    "token_issuer",
    "token_key_unknown",
    "token_signature",
    "token_claims",
    "token_audience",
    "token_binding",
    "token_not_yet_valid",
    "token_expired",
    "token_revoked",
    "api_key_malformed",
    "api_key_unknown",
    "api_key_expired",
    "api_key_revoked",
    "authentication_unavailable",
]

CODES: Final[dict[Reason, str]] = {
    "token_too_large": "token_invalid",
    "token_malformed": "token_invalid",
    "token_header": "token_invalid",
    "token_type": "token_invalid",
    "token_algorithm": "token_invalid",
    "token_issuer": "token_invalid",
    "token_key_unknown": "token_invalid",
    "token_signature": "token_invalid",
    "token_claims": "token_invalid",
    "token_audience": "token_invalid",
    "token_binding": "token_invalid",
    "token_not_yet_valid": "token_invalid",
    "token_expired": "token_expired",
    "token_revoked": "token_revoked",
    "api_key_malformed": "api_key_invalid",
    "api_key_unknown": "api_key_invalid",
    "api_key_expired": "api_key_invalid",
    "api_key_revoked": "api_key_invalid",
    "authentication_unavailable": "authentication_unavailable",
}
"""Reason → the ``code`` in the answer."""
