"""Codes of the gateway's own answers; the rows stand in `gateway/errors.py`, in this order."""


cdef enum Code:
    BAD_REQUEST
    BAD_FRAMING
    BAD_HOST
    BAD_PATH
    URI_TOO_LONG
    HEADER_FIELDS_TOO_LARGE
    BODY_TOO_LARGE
    REQUEST_TIMEOUT
    EXPECTATION_FAILED
    NOT_IMPLEMENTED
    VERSION_NOT_SUPPORTED
    ROUTE_NOT_FOUND
    METHOD_NOT_ALLOWED
    UPSTREAM_CONNECT_FAILED
    UPSTREAM_RESET
    UPSTREAM_PROTOCOL_ERROR
    UPSTREAM_CONNECT_TIMEOUT
    UPSTREAM_TIMEOUT
    UPSTREAM_OVERLOADED
    CONNECTION_LIMIT
    INTERNAL_ERROR
    AUTHENTICATION_REQUIRED
    CREDENTIALS_AMBIGUOUS
    CREDENTIAL_NOT_ACCEPTED
    TOKEN_INVALID
    TOKEN_EXPIRED
    TOKEN_REVOKED
    API_KEY_INVALID
    INSUFFICIENT_SCOPE
    AUTHENTICATION_UNAVAILABLE
    UPSTREAM_UNAVAILABLE
    CIRCUIT_OPEN
    BULKHEAD_FULL
    NO_HEALTHY_ENDPOINT
    RATE_LIMITED
    LIMITER_UNAVAILABLE
    ADDRESS_DENIED
    OVERLOADED
    CODE_COUNT
    NO_CODE = -1


cdef struct Row:
    int status
    bint closes
    bint retryable
    bint upstream       # the service's fault, so its fallback may answer
    const char* code
    const char* message

cdef const Row* refusal(Code code) noexcept
cdef Code code_named(str name) noexcept
cdef const char* reason_phrase(int status) noexcept
