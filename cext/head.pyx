"""Fills a Head from a parser's spans, and takes a request target apart."""

from libc.stdlib cimport abort, free, realloc
from libc.string cimport memchr, memcmp, memcpy, memset

from gateway.cext.buffer cimport buffer_free, buffer_put
from gateway.cext.field_name cimport classify, name_equals

cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char*, const char*, size_t)

cdef enum:
    # "\r\n" behind a field, which lets whole lines be copied
    LINE_END = 2


cdef void head_free(Head* head) noexcept nogil:
    buffer_free(&head.kept)
    free(head.fields)
    head.fields = NULL
    head.count = head.capacity = 0


cdef void head_reset(Head* head, size_t limit, const char* piece, size_t size) noexcept nogil:
    """Begins a new head, whose bytes come in `piece`."""
    head.kept.size = 0
    head.limit = limit
    head.count = 0
    head.target_off = head.target_size = 0
    head.seen = head.repeated = 0
    head.in_value = head.overflow = False
    head.open = True
    head.base = piece
    head.size = size


cdef void head_piece(Head* head, const char* piece, size_t size) noexcept nogil:
    """The bytes that are parsed from here on; offsets go on behind what was kept."""
    if head.open and head.kept.size == 0:
        head.base = piece
        head.size = size


cdef bint head_keep(Head* head, const char* piece, size_t size) noexcept nogil:
    """The piece ends and the head does not: its bytes will go, so they are gathered.

    False when they pass the limit. Blanks before a value reach no span, so this is where they count.
    """
    if has_room(head, head.kept.size + size):
        buffer_put(&head.kept, piece, size)
    return not head.overflow


cdef void head_own(Head* head) noexcept nogil:
    """Copies a head that lies in somebody else's memory, which is about to go."""
    cdef size_t size
    if head.kept.size == 0 and (head.count or head.target_size):
        size = min_size(head_end(head) + LINE_END, head.size)
        buffer_put(&head.kept, head.base, size)
        head.base = head.kept.data
        head.size = size


cdef void head_copy(Head* head, const Head* other) noexcept nogil:
    """Makes a fresh head one like `other`, a complete one, in memory of its own."""
    cdef GwField* fields = <GwField*>realloc(NULL, (other.count or 1) * sizeof(GwField))
    if fields == NULL:
        abort()
    head[0] = other[0]
    memcpy(fields, other.fields, other.count * sizeof(GwField))
    head.fields = fields
    head.capacity = other.count or 1
    head.kept = Buffer(NULL, 0, 0)
    head.base = NULL
    buffer_put(&head.kept, other.base, min_size(head_end(other) + LINE_END, other.size))
    head.base = head.kept.data
    head.size = head.kept.size


cdef inline size_t min_size(size_t a, size_t b) noexcept nogil:
    return a if a < b else b


cdef inline bint has_room(Head* head, size_t end) noexcept nogil:
    if end > head.limit:
        head.overflow = True
    return not head.overflow


cdef void head_target(Head* head, uint32_t offset, size_t size) noexcept nogil:
    if has_room(head, offset + size):
        if head.target_size == 0:
            head.target_off = offset
        head.target_size += <uint32_t>size


cdef void head_name(Head* head, uint32_t offset, size_t size) noexcept nogil:
    cdef GwField* field
    if not has_room(head, offset + size):
        return
    if head.in_value or head.count == 0:
        if head.count == head.capacity and not grow(head):
            return
        field = &head.fields[head.count]
        head.count += 1
        head.in_value = False
        field.name_off = field.value_off = offset
        field.name_len = field.value_len = 0
    else:
        field = &head.fields[head.count - 1]
    field.name_len += <uint32_t>size


cdef bint grow(Head* head) noexcept nogil:
    if head.capacity == MAX_FIELDS:
        head.overflow = True
        return False
    head.capacity = 16 if head.capacity == 0 else head.capacity * 2
    head.fields = <GwField*>realloc(head.fields, head.capacity * sizeof(GwField))
    if head.fields == NULL:
        abort()
    return True


cdef void head_value(Head* head, uint32_t offset, size_t size) noexcept nogil:
    cdef GwField* field
    if not has_room(head, offset + size):
        return
    field = &head.fields[head.count - 1]
    if not head.in_value:
        head.in_value = True
        field.value_off = offset
    field.value_len += <uint32_t>size


cdef void head_complete(Head* head, const char* piece) noexcept nogil:
    """All fields are there: trims and classifies them. `piece`: the bytes being parsed now."""
    cdef uint32_t i
    cdef size_t end
    cdef uint64_t bit
    cdef GwField* field
    if head.kept.size:
        end = head_end(head)
        if end > head.kept.size:
            buffer_put(&head.kept, piece, end - head.kept.size)
        head.base = head.kept.data
        head.size = head.kept.size
    for i in range(head.count):
        field = &head.fields[i]
        # Trailing white space is not part of a value (RFC 9110 section 5.5).
        while field.value_len and is_blank(head.base[field.value_off + field.value_len - 1]):
            field.value_len -= 1
        field.id = classify(head.base + field.name_off, field.name_len)
        bit = <uint64_t>1 << field.id
        head.repeated |= head.seen & bit
        head.seen |= bit
    head.open = False


cdef inline bint is_blank(char byte) noexcept nogil:
    return byte == 32 or byte == 9


cdef const GwField* find_named(const Head* head, const char* lower, size_t size) noexcept nogil:
    """The first field of this name, which is in lower case; NULL: there is none."""
    cdef uint32_t i
    for i in range(head.count):
        if name_equals(field_name(head, i), head.fields[i].name_len, lower, size):
            return &head.fields[i]
    return NULL


cdef bint token_in_list(const char* list, size_t size, const char* token, size_t token_size) noexcept nogil:
    """Whether a comma-separated list (RFC 9110 section 5.6.1) names `token`, in any case."""
    cdef size_t start, stop, end, at = 0
    while at <= size:
        end = at
        while end < size and list[end] != 44:
            end += 1
        start = at
        stop = end
        while start < stop and is_blank(list[start]):
            start += 1
        while stop > start and is_blank(list[stop - 1]):
            stop -= 1
        if stop - start == token_size and strncasecmp(list + start, token, token_size) == 0:
            return True
        at = end + 1
    return False


cdef Target split_target(const char* target, size_t size, uint32_t offset) noexcept nogil:
    """RFC 9112 section 3.2. Authority-form belongs to CONNECT alone, which is refused
    before. `offset`: where the target stands in its head."""
    cdef Target parts
    cdef size_t start = 0, end
    cdef const char* mark
    memset(&parts, 0, sizeof(parts))
    parts.form = TARGET_INVALID
    if size == 1 and target[0] == 42:
        parts.form = TARGET_ASTERISK
        return parts
    if size and target[0] == 47:
        parts.form = TARGET_ORIGIN
    elif size > 7 and (memcmp(target, b"http://", 7) == 0 or memcmp(target, b"HTTP://", 7) == 0):
        start = 7
    elif size > 8 and (memcmp(target, b"https://", 8) == 0 or memcmp(target, b"HTTPS://", 8) == 0):
        start = 8
    else:
        return parts
    if start:
        parts.form = TARGET_ABSOLUTE
        end = start
        while end < size and target[end] != 47 and target[end] != 63:
            end += 1
        parts.host_off = offset + <uint32_t>start
        parts.host_size = <uint32_t>(end - start)
        start = end
    mark = <const char*>memchr(target + start, 63, size - start)
    end = size if mark == NULL else mark - target
    parts.path_off = offset + <uint32_t>start
    parts.path_size = <uint32_t>(end - start)
    if mark != NULL:
        parts.has_query = True
        parts.query_off = offset + <uint32_t>(end + 1)
        parts.query_size = <uint32_t>(size - end - 1)
    return parts


cdef int64_t parse_host(const char* host, size_t size, char* out) noexcept nogil:
    """Checks a Host value (RFC 9110 section 7.2: uri-host [":" port]) and writes its lower-case name.

    `out` has room for `size` bytes. Returns the name's length, or -1 for anything that two servers could
    read in two ways: user info, a path, blanks, an empty name, a port that is none.
    """
    cdef size_t end, i
    cdef char c
    if size == 0:
        return -1
    if host[0] == 91:
        end = 1
        while end < size and host[end] != 93:
            c = host[end]
            if not (is_hex(c) or c == 58 or c == 46):
                return -1
            end += 1
        if end >= size or end < 3:
            return -1
        end += 1
    else:
        end = 0
        while end < size and host[end] != 58:
            c = host[end]
            if not (is_alnum(c) or c == 45 or c == 46 or c == 95 or c == 126):
                return -1
            end += 1
    if end == 0:
        return -1
    if not is_port(host + end, size - end):
        return -1
    for i in range(end):
        c = host[i]
        out[i] = c | 0x20 if 65 <= c <= 90 else c
    if end > 1 and out[end - 1] == 46:
        end -= 1
    return <int64_t>end


cdef bint is_port(const char* text, size_t size) noexcept nogil:
    """Nothing, or a colon and up to five digits up to 65535 (RFC 3986 lets them be absent)."""
    cdef uint32_t port = 0
    cdef size_t i
    if size == 0:
        return True
    if text[0] != 58 or size > 6:
        return False
    for i in range(1, size):
        if not 48 <= text[i] <= 57:
            return False
        port = port * 10 + <uint32_t>(text[i] - 48)
    return port <= 65535


cdef inline bint is_hex(char c) noexcept nogil:
    return 48 <= c <= 57 or 97 <= (c | 0x20) <= 102


cdef inline bint is_alnum(char c) noexcept nogil:
    return 48 <= c <= 57 or 97 <= (c | 0x20) <= 122
