"""Loads the table of `gateway/errors.py` into C, once, and proves that both lists agree."""

import http

from gateway.errors import REFUSALS

cdef Row ROWS[CODE_COUNT]
cdef const char* REASONS[600]
# Owners of the bytes that ROWS and REASONS point into.
cdef list texts = []

NAMES = (
    "bad_request", "bad_framing", "bad_host", "bad_path", "uri_too_long", "header_fields_too_large",
    "body_too_large", "request_timeout", "expectation_failed", "not_implemented",
    "version_not_supported", "route_not_found", "method_not_allowed",
    "upstream_connect_failed", "upstream_reset", "upstream_protocol_error",
    "upstream_connect_timeout", "upstream_timeout", "upstream_overloaded", "connection_limit",
    "internal_error",
    "authentication_required", "credentials_ambiguous", "credential_not_accepted", "token_invalid",
    "token_expired", "token_revoked", "api_key_invalid", "insufficient_scope",
    "authentication_unavailable",
    "upstream_unavailable",
    "circuit_open", "bulkhead_full", "no_healthy_endpoint",
    "rate_limited", "limiter_unavailable", "address_denied", "overloaded",
)

CODES = {name: code for code, name in enumerate(NAMES)}


cdef const char* keep(str text) except NULL:
    cdef bytes encoded = text.encode("ascii")
    texts.append(encoded)
    return encoded


cdef const Row* refusal(Code code) noexcept:
    return &ROWS[<int>code]


cdef Code code_named(str name) noexcept:
    """INTERNAL_ERROR for a name that no row has."""
    cdef int code = CODES.get(name, <int>INTERNAL_ERROR)
    return <Code>code


cdef const char* reason_phrase(int status) noexcept:
    """The registered reason, or an empty text: it says nothing that the status does not."""
    return REASONS[status] if 100 <= status < 600 else REASONS[0]


cdef void load() except *:
    cdef int i
    if tuple(row.code for row in REFUSALS) != NAMES or len(NAMES) != CODE_COUNT:
        raise ImportError("gateway: gateway/errors.py and cext/refusal.pxd list different codes")
    for i, row in enumerate(REFUSALS):
        ROWS[i].status = row.status
        ROWS[i].closes = row.closes
        ROWS[i].retryable = row.retryable
        ROWS[i].upstream = row.side == "upstream"
        ROWS[i].code = keep(row.code)
        ROWS[i].message = keep(row.message)
    for i in range(600):
        REASONS[i] = b""
    for known in http.HTTPStatus:
        REASONS[known.value] = keep(known.phrase)


load()
