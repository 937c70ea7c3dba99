"""A message head as data: a table of fields that point into its bytes.

A head that arrives in one piece is read where it lies; one that arrives in several is gathered first. Offsets
count from the head's first byte in both cases. Independent of the HTTP version and of sockets.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from gateway.cext.buffer cimport Buffer
from gateway.cext.native cimport GwField

cdef enum:
    # nginx and Apache stop at 100 fields, HAProxy at 101; no browser sends half as many.
    MAX_FIELDS = 128


cdef struct Head:
    const char* base                # the head's bytes; offsets count from here
    size_t size                     # of those, how many are there
    Buffer kept                     # earlier pieces of a head that did not arrive whole, or an own copy
    size_t limit                    # bytes of the head
    GwField* fields
    uint32_t count
    uint32_t capacity               # of `fields`, grown as needed up to MAX_FIELDS
    uint32_t target_off
    uint32_t target_size
    uint64_t seen                   # a bit for each FieldId that occurs
    uint64_t repeated               # … and for each that occurs more than once
    bint open                       # begun and not complete
    bint in_value                   # the last span belonged to a field's value
    bint overflow                   # a limit was passed; nothing more is stored


cdef enum TargetForm:
    TARGET_ORIGIN
    TARGET_ABSOLUTE
    TARGET_ASTERISK
    TARGET_INVALID


cdef struct Target:
    # A request target taken apart; spans are offsets into the head
    TargetForm form
    uint32_t host_off, host_size    # empty unless absolute
    uint32_t path_off, path_size
    uint32_t query_off, query_size
    bint has_query


cdef void head_free(Head* head) noexcept nogil
cdef void head_reset(Head* head, size_t limit, const char* piece, size_t size) noexcept nogil
cdef void head_piece(Head* head, const char* piece, size_t size) noexcept nogil
cdef bint head_keep(Head* head, const char* piece, size_t size) noexcept nogil
cdef void head_own(Head* head) noexcept nogil
cdef void head_copy(Head* head, const Head* other) noexcept nogil
cdef void head_target(Head* head, uint32_t offset, size_t size) noexcept nogil
cdef void head_name(Head* head, uint32_t offset, size_t size) noexcept nogil
cdef void head_value(Head* head, uint32_t offset, size_t size) noexcept nogil
cdef void head_complete(Head* head, const char* piece) noexcept nogil
cdef const GwField* find_named(const Head* head, const char* lower, size_t size) noexcept nogil
cdef bint token_in_list(const char* list, size_t size, const char* token, size_t token_size) noexcept nogil
cdef Target split_target(const char* target, size_t size, uint32_t offset) noexcept nogil
cdef int64_t parse_host(const char* host, size_t size, char* out) noexcept nogil

cdef inline size_t head_end(const Head* head) noexcept nogil:
    """Length of the head up to the end of its last value."""
    if head.count == 0:
        return head.target_off + head.target_size
    return head.fields[head.count - 1].value_off + head.fields[head.count - 1].value_len

cdef inline bint head_has(const Head* head, uint32_t id) noexcept nogil:
    return (head.seen >> id) & 1

cdef inline const GwField* find_field(const Head* head, uint32_t id) noexcept nogil:
    """The first field with this id; there must be one (`head_has`)."""
    cdef uint32_t i = 0
    while head.fields[i].id != id:
        i += 1
    return &head.fields[i]

cdef inline const char* field_name(const Head* head, uint32_t index) noexcept nogil:
    return head.base + head.fields[index].name_off

cdef inline const char* field_value(const Head* head, uint32_t index) noexcept nogil:
    return head.base + head.fields[index].value_off
