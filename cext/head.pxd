"""A message head as data: one arena of bytes, a table of fields that point into it.

Filled piece by piece from llhttp's spans, so a head that arrives a byte at a time costs no more memory
than one that arrives whole. Independent of the HTTP version and of sockets.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from gateway.cext.buffer cimport Buffer
from gateway.cext.native cimport GwField

cdef enum:
    # nginx and Apache stop at 100 fields, HAProxy at 101; no browser sends half as many.
    MAX_FIELDS = 128


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
    # FIELD_FORWARDED are the ones that we do not set: X-Forwarded-*, X-Original-URL and their like.
    FIELD_FORWARDED
    FIELD_FORWARDED_FOR
    FIELD_FORWARDED_PROTO
    FIELD_FORWARDED_HOST
    FIELD_CORRELATION_ID
    # Set by the gateway alone, never believed
    FIELD_IDENTITY
    # `X_User_Id`: many servers read an underscore as a hyphen, so such a name could pass for ours
    FIELD_UNDERSCORE
    # Never legal in a trailer section (RFC 9110 section 6.5.1), otherwise ordinary
    FIELD_NO_TRAILER


cdef struct Head:
    Buffer arena
    GwField* fields
    uint32_t count
    uint32_t capacity               # of `fields`, grown as needed up to MAX_FIELDS
    uint32_t target_size            # the request target stands at the arena's start
    bint in_value                   # the last span belonged to a field's value
    bint overflow                   # a limit was passed; nothing more is stored
    size_t limit                    # bytes of target, names and values together


cdef enum TargetForm:
    TARGET_ORIGIN
    TARGET_ABSOLUTE
    TARGET_ASTERISK
    TARGET_INVALID


cdef struct Target:
    # A request target taken apart; spans are offsets into the arena
    TargetForm form
    uint32_t host_off, host_size    # empty unless absolute
    uint32_t path_off, path_size
    uint32_t query_off, query_size
    bint has_query


cdef void head_free(Head* head) noexcept nogil
cdef void head_reset(Head* head, size_t limit) noexcept nogil
cdef void head_target(Head* head, const char* at, size_t size) noexcept nogil
cdef void head_name(Head* head, const char* at, size_t size) noexcept nogil
cdef void head_value(Head* head, const char* at, size_t size) noexcept nogil
cdef void head_complete(Head* head) noexcept nogil
cdef uint32_t classify(const char* name, size_t size) noexcept nogil
cdef bint name_equals(const char* name, size_t size, const char* lower, size_t lower_size) noexcept nogil
cdef bint token_in_list(const char* list, size_t size, const char* token, size_t token_size) noexcept nogil
cdef Target split_target(const char* target, size_t size) noexcept nogil
cdef int64_t parse_host(const char* host, size_t size, char* out) noexcept nogil

cdef inline const char* field_name(const Head* head, uint32_t index) noexcept nogil:
    return head.arena.data + head.fields[index].name_off

cdef inline const char* field_value(const Head* head, uint32_t index) noexcept nogil:
    return head.arena.data + head.fields[index].value_off
