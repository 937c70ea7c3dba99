"""Compared in any case (RFC 9110 section 5.1). A further name that matters to us is a row of `KNOWN`."""

from libc.string cimport memchr

KNOWN = {
    FIELD_HOST: (b"host",),
    FIELD_CONTENT_LENGTH: (b"content-length",),
    FIELD_TRANSFER_ENCODING: (b"transfer-encoding",),
    FIELD_EXPECT: (b"expect",),
    FIELD_DATE: (b"date",),
    FIELD_VIA: (b"via",),
    FIELD_CONNECTION: (b"connection",),
    FIELD_HOP: (
        b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"upgrade",
        b"proxy",   # HTTP_PROXY in an environment (CVE-2016-5385)
    ),
    FIELD_TE: (b"te",),
    FIELD_TRAILER: (b"trailer",),
    FIELD_FORWARDED: (
        b"cf-connecting-ip", b"client-ip", b"fastly-client-ip", b"forwarded", b"true-client-ip",
        b"x-client-ip", b"x-cluster-client-ip", b"x-forwarded", b"x-host", b"x-http-host-override",
        b"x-original-host", b"x-original-method", b"x-original-uri", b"x-original-url", b"x-real-ip",
        b"x-rewrite-url",
    ),
    FIELD_FORWARDED_FOR: (b"x-forwarded-for",),
    FIELD_FORWARDED_PROTO: (b"x-forwarded-proto",),
    FIELD_FORWARDED_HOST: (b"x-forwarded-host",),
    FIELD_CORRELATION_ID: (b"x-correlation-id",),
    FIELD_AUTHORIZATION: (b"authorization",),
    FIELD_API_KEY: (b"x-api-key",),
    FIELD_IDENTITY: (
        b"x-client-id", b"x-gateway-mirror", b"x-request-timeout-ms", b"x-scopes", b"x-user-id",
    ),
    FIELD_RATE_LIMIT: (
        b"ratelimit", b"ratelimit-policy", b"x-ratelimit-limit", b"x-ratelimit-remaining",
        b"x-ratelimit-reset",
    ),
    FIELD_NO_TRAILER: (
        b"cache-control", b"content-encoding", b"content-range", b"content-type", b"cookie", b"set-cookie",
    ),
}
"""What a field means → its names, in lower case."""

cdef enum:
    MAX_KNOWN = 64
    MAX_NAME = 24

cdef enum Likeness:
    OTHER
    LIKE
    SAME

cdef struct Known:
    const char* name
    uint32_t id

# KNOWN by length: those of `size` letters stand at FIRST[size] and behind it, as far as FIRST[size + 1].
cdef Known[MAX_KNOWN] ROWS
cdef uint32_t[MAX_NAME + 2] FIRST


cpdef uint32_t classify(const char* name, size_t size) noexcept nogil:
    """The FieldId of a name. Most names cost one comparison or none."""
    cdef uint32_t i
    cdef Likeness likeness
    if size <= MAX_NAME:
        for i in range(FIRST[size], FIRST[size + 1]):
            likeness = compare(name, ROWS[i].name, size)
            if likeness != OTHER:
                return ROWS[i].id if likeness == SAME else FIELD_ALIAS
    if memchr(name, 95, size) != NULL:
        return FIELD_ALIAS
    if size > 12 and name_equals(name, 12, b"x-forwarded-", 12):
        return FIELD_FORWARDED
    return FIELD_OTHER


cdef inline Likeness compare(const char* name, const char* lower, size_t size) noexcept nogil:
    """In any case. LIKE: with another sign in place of a hyphen."""
    cdef size_t i
    cdef Likeness likeness = SAME
    for i in range(size):
        if (name[i] | 0x20) != lower[i]:
            if lower[i] != 45 or is_alnum(name[i]):
                return OTHER
            likeness = LIKE
    return likeness


cdef inline bint is_alnum(char letter) noexcept nogil:
    return 48 <= letter <= 57 or 97 <= (letter | 0x20) <= 122


cdef bint name_equals(const char* name, size_t size, const char* lower, size_t lower_size) noexcept nogil:
    """Whether `name` is `lower` in any case. Field names are tokens, so OR-ing 0x20 folds only letters."""
    if size != lower_size:
        return False
    return compare(name, lower, size) == SAME


cdef fill():
    """Once, when the module is loaded. The texts live as long as KNOWN."""
    rows = sorted((len(name), name, meaning) for meaning, names in KNOWN.items() for name in names)
    if len(rows) > MAX_KNOWN or max(rows)[0] > MAX_NAME:
        raise ValueError("MAX_KNOWN or MAX_NAME is too small")
    for i, (_, name, meaning) in enumerate(rows):
        ROWS[i].name = <const char*><bytes>name
        ROWS[i].id = meaning
    for size in range(MAX_NAME + 2):
        FIRST[size] = sum(length < size for length, _, _ in rows)


fill()
