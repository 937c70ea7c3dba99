"""Where a message's body ends: verdicts alone, no I/O (RFC 9112 section 6.3)."""

from libc.stdint cimport uint64_t

from gateway.cext.head cimport Head


cdef enum BodyKind:
    BODY_NONE           # the head is the whole message
    BODY_LENGTH         # exactly `length` bytes
    BODY_CHUNKED
    BODY_UNTIL_CLOSE    # responses only
    BODY_INVALID        # two readers could disagree: refuse
    BODY_UNKNOWN_CODING     # a transfer coding that we do not implement


cdef struct Framing:
    BodyKind kind
    uint64_t length


cdef Framing request_framing(const Head* head, int http_minor) noexcept nogil
cdef Framing response_framing(const Head* head, int status, bint to_head, int http_minor) noexcept nogil
