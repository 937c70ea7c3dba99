"""Names of header fields: equality, and what the known ones mean."""

from libc.stdint cimport uint32_t

cdef enum FieldId:
    """What a field means to the gateway. Everything else is FIELD_OTHER and passes."""
    FIELD_OTHER = 0
    FIELD_HOST
    FIELD_CONTENT_LENGTH
    FIELD_TRANSFER_ENCODING
    FIELD_EXPECT
    FIELD_DATE
    FIELD_VIA
    # Hop-by-hop: RFC 9110 section 7.6.1
    FIELD_CONNECTION
    FIELD_HOP
    FIELD_TE
    FIELD_TRAILER
    # How the request came here: set by the gateway, believed only when a trusted proxy says it.
    # FIELD_FORWARDED are the ones that we do not set: X-Forwarded-*, X-Original-URL and their like; some
    # frameworks and content delivery networks take them for the caller's address, host or method.
    FIELD_FORWARDED
    FIELD_FORWARDED_FOR
    FIELD_FORWARDED_PROTO
    FIELD_FORWARDED_HOST
    FIELD_CORRELATION_ID
    # Credentials: a service gets them only where the route says so
    FIELD_AUTHORIZATION
    FIELD_API_KEY
    # Set by the gateway alone, never believed
    FIELD_IDENTITY
    # `X_User_Id`, `X.User.Id`: many servers read an underscore as a hyphen, and those that make variables
    # of an environment (RFC 3875 section 4.1.18) may do so with any sign, so such a name could pass for ours
    FIELD_ALIAS
    # What is left of a limit: the service's own is left out where the gateway says its own
    FIELD_RATE_LIMIT
    # Never legal in a trailer section (RFC 9110 section 6.5.1), otherwise ordinary
    FIELD_NO_TRAILER


cpdef uint32_t classify(const char* name, size_t size) noexcept nogil
cdef bint name_equals(const char* name, size_t size, const char* lower, size_t lower_size) noexcept nogil
