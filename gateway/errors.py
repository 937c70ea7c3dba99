"""Every answer that the gateway gives of itself: one table, one row for each code.

A stage or a connection names a code; the status never comes from the place that refuses. The
client gets ``message`` and ``code`` and nothing of the inside; the cause goes to the log. The codes
are part of the public contract: a row may be added, none may change its meaning.
"""

from dataclasses import dataclass
from typing import Literal

Side = Literal["downstream", "upstream", "internal"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row: what a client is told when an exchange ends without an upstream's answer."""

    code: str
    status: int
    side: Side
    """Who failed: the client, the service behind, or the gateway itself."""
    retryable: bool
    """Whether the same request may succeed when it is sent again."""
    closes: bool
    """Whether the connection can no longer be trusted to be in step; it closes after the answer."""
    message: str


REFUSALS: tuple[Refusal, ...] = (
    Refusal("bad_request", 400, "downstream", False, True, "Malformed request"),
    Refusal("bad_framing", 400, "downstream", False, True, "Ambiguous or malformed body framing"),
    Refusal("bad_host", 400, "downstream", False, True, "Missing, repeated or malformed Host"),
    Refusal("bad_path", 400, "downstream", False, True, "Malformed or ambiguous path"),
    Refusal("uri_too_long", 414, "downstream", False, True, "Request target too long"),
    Refusal("header_fields_too_large", 431, "downstream", False, True, "Request head too large"),
    Refusal("body_too_large", 413, "downstream", False, True, "Request body too large"),
    Refusal("request_timeout", 408, "downstream", True, True, "Request not received in time"),
    Refusal("expectation_failed", 417, "downstream", False, True, "Unknown expectation"),
    Refusal("not_implemented", 501, "downstream", False, True, "Method or coding not implemented"),
    Refusal("version_not_supported", 505, "downstream", False, True, "HTTP version not supported"),
    Refusal("route_not_found", 404, "downstream", False, False, "No route for this request"),
    Refusal("method_not_allowed", 405, "downstream", False, False, "Method not allowed"),
    Refusal("upstream_connect_failed", 502, "upstream", True, False, "Service cannot be reached"),
    Refusal("upstream_reset", 502, "upstream", True, False, "Service closed the connection"),
    Refusal(
        "upstream_protocol_error", 502, "upstream", False, False, "Invalid answer of the service"
    ),
    Refusal(
        "upstream_connect_timeout",
        504,
        "upstream",
        True,
        False,
        "Service cannot be reached in time",
    ),
    Refusal("upstream_timeout", 504, "upstream", True, False, "Service did not answer in time"),
    Refusal(
        "upstream_overloaded", 503, "upstream", True, False, "Service is at its connection limit"
    ),
    Refusal("connection_limit", 503, "internal", True, True, "Too many connections"),
    Refusal("internal_error", 500, "internal", True, True, "Internal error"),
    Refusal("authentication_required", 401, "downstream", False, False, "Authentication required"),
    Refusal("credentials_ambiguous", 400, "downstream", False, False, "More than one credential"),
    Refusal(
        "credential_not_accepted",
        401,
        "downstream",
        False,
        False,
        "This kind of credential is not accepted here",
    ),
    Refusal("token_invalid", 401, "downstream", False, False, "Invalid token"),
    Refusal("token_expired", 401, "downstream", False, False, "Token has expired"),
    Refusal("token_revoked", 401, "downstream", False, False, "Token has been revoked"),
    Refusal("api_key_invalid", 401, "downstream", False, False, "Invalid API key"),
    Refusal("insufficient_scope", 403, "downstream", False, False, "Missing scope"),
    Refusal(
        "authentication_unavailable",
        503,
        "internal",
        True,
        False,
        "Credentials cannot be checked at the moment",
    ),
    Refusal("upstream_unavailable", 503, "upstream", True, False, "Service has no endpoint"),
    Refusal("circuit_open", 503, "upstream", True, False, "Circuit breaker is open"),
    Refusal("bulkhead_full", 503, "upstream", True, False, "Service has too many requests"),
    Refusal("no_healthy_endpoint", 503, "upstream", True, False, "Service has no healthy endpoint"),
    Refusal("rate_limited", 429, "downstream", True, False, "Rate limit exceeded"),
    Refusal("limiter_unavailable", 503, "internal", True, False, "Rate limits cannot be checked"),
    Refusal("address_denied", 403, "downstream", False, False, "Not from this address"),
    Refusal("overloaded", 503, "internal", True, False, "Too many requests at the moment"),
)

BY_CODE = {row.code: row for row in REFUSALS}
"""For processes that answer in Python; workers have the table in C (``cext/refusal.pyx``)."""
