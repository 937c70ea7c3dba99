"""The framing table. Stricter than RFC 9112 wherever it leaves a choice: what is ambiguous is refused,
never repaired, because a repair that the next server does otherwise is a smuggled request.
"""

from libc.stdint cimport uint32_t

from gateway.cext.field_name cimport FIELD_CONTENT_LENGTH, FIELD_TRANSFER_ENCODING, name_equals
from gateway.cext.head cimport find_field, head_has
from gateway.cext.native cimport GwField

cdef enum:
    # 18 digits always fit in 63 bits; nobody sends an exabyte.
    MAX_LENGTH_DIGITS = 18


cdef Framing verdict(BodyKind kind, uint64_t length) noexcept nogil:
    cdef Framing framing
    framing.kind = kind
    framing.length = length
    return framing


cdef Framing parse_length(const char* text, uint32_t size) noexcept nogil:
    """RFC 9110 section 8.6: digits only. A list of equal values is allowed there and refused here."""
    cdef uint64_t length = 0
    cdef uint32_t i
    if size == 0 or size > MAX_LENGTH_DIGITS:
        return verdict(BODY_INVALID, 0)
    for i in range(size):
        if not 48 <= text[i] <= 57:
            return verdict(BODY_INVALID, 0)
        length = length * 10 + <uint64_t>(text[i] - 48)
    return verdict(BODY_LENGTH, length)


cdef inline bint is_repeated(const Head* head) noexcept nogil:
    return ((head.repeated >> FIELD_CONTENT_LENGTH) | (head.repeated >> FIELD_TRANSFER_ENCODING)) & 1


cdef inline Framing length_of(const Head* head) noexcept nogil:
    cdef const GwField* field = find_field(head, FIELD_CONTENT_LENGTH)
    return parse_length(head.base + field.value_off, field.value_len)


cdef inline bint is_chunked(const Head* head) noexcept nogil:
    cdef const GwField* field = find_field(head, FIELD_TRANSFER_ENCODING)
    return name_equals(head.base + field.value_off, field.value_len, b"chunked", 7)


cdef Framing request_framing(const Head* head, int http_minor) noexcept nogil:
    if is_repeated(head):
        return verdict(BODY_INVALID, 0)
    if head_has(head, FIELD_TRANSFER_ENCODING):
        # Section 6.1: a coding in HTTP/1.0, or beside a Content-Length, is the mark of an attack.
        if http_minor == 0 or head_has(head, FIELD_CONTENT_LENGTH):
            return verdict(BODY_INVALID, 0)
        return verdict(BODY_CHUNKED if is_chunked(head) else BODY_UNKNOWN_CODING, 0)
    if head_has(head, FIELD_CONTENT_LENGTH):
        return length_of(head)
    return verdict(BODY_NONE, 0)


cdef Framing response_framing(const Head* head, int status, bint to_head, int http_minor) noexcept nogil:
    """`to_head`: the request was HEAD, so the fields describe a body that is not sent."""
    cdef Framing framing = verdict(BODY_UNTIL_CLOSE, 0)
    if is_repeated(head):
        return verdict(BODY_INVALID, 0)
    if head_has(head, FIELD_TRANSFER_ENCODING):
        if http_minor == 0 or head_has(head, FIELD_CONTENT_LENGTH) or not is_chunked(head):
            return verdict(BODY_INVALID, 0)
        framing = verdict(BODY_CHUNKED, 0)
    elif head_has(head, FIELD_CONTENT_LENGTH):
        framing = length_of(head)
    if framing.kind != BODY_INVALID and (to_head or status < 200 or status == 204 or status == 304):
        framing.kind = BODY_NONE
    return framing
