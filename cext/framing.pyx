"""The framing table. Stricter than RFC 9112 wherever it leaves a choice: what is ambiguous is refused,
never repaired, because a repair that the next server does otherwise is a smuggled request.
"""

from libc.stdint cimport uint32_t

from gateway.cext.head cimport (
    FIELD_CONTENT_LENGTH,
    FIELD_TRANSFER_ENCODING,
    field_value,
    name_equals,
)

cdef enum:
    # 18 digits always fit in 63 bits; nobody sends an exabyte.
    MAX_LENGTH_DIGITS = 18


cdef struct Found:
    uint32_t lengths, codings      # how many such fields
    uint32_t length_at, coding_at


cdef Found find_framing_fields(const Head* head) noexcept nogil:
    cdef Found found
    cdef uint32_t i
    found.lengths = found.codings = found.length_at = found.coding_at = 0
    for i in range(head.count):
        if head.fields[i].id == FIELD_CONTENT_LENGTH:
            found.lengths += 1
            found.length_at = i
        elif head.fields[i].id == FIELD_TRANSFER_ENCODING:
            found.codings += 1
            found.coding_at = i
    return found


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


cdef Framing request_framing(const Head* head, int http_minor) noexcept nogil:
    cdef Found found = find_framing_fields(head)
    if found.codings:
        # Section 6.1: a coding in HTTP/1.0, or beside a Content-Length, is the mark of an attack.
        if http_minor == 0 or found.lengths or found.codings > 1:
            return verdict(BODY_INVALID, 0)
        if is_chunked(head, found.coding_at):
            return verdict(BODY_CHUNKED, 0)
        return verdict(BODY_UNKNOWN_CODING, 0)
    if found.lengths == 0:
        return verdict(BODY_NONE, 0)
    if found.lengths > 1:
        return verdict(BODY_INVALID, 0)
    return parse_length(field_value(head, found.length_at), head.fields[found.length_at].value_len)


cdef bint is_chunked(const Head* head, uint32_t at) noexcept nogil:
    return name_equals(field_value(head, at), head.fields[at].value_len, b"chunked", 7)


cdef Framing response_framing(const Head* head, int status, bint to_head, int http_minor) noexcept nogil:
    """`to_head`: the request was HEAD, so the fields describe a body that is not sent."""
    cdef Found found = find_framing_fields(head)
    cdef Framing framing
    if found.lengths > 1 or found.codings > 1 or (found.lengths and found.codings):
        return verdict(BODY_INVALID, 0)
    if found.codings and (http_minor == 0 or not is_chunked(head, found.coding_at)):
        return verdict(BODY_INVALID, 0)
    framing = verdict(BODY_UNTIL_CLOSE, 0)
    if found.lengths:
        framing = parse_length(field_value(head, found.length_at), head.fields[found.length_at].value_len)
        if framing.kind == BODY_INVALID:
            return framing
    elif found.codings:
        framing = verdict(BODY_CHUNKED, 0)
    if to_head or status < 200 or status == 204 or status == 304:
        return verdict(BODY_NONE, framing.length)
    return framing
