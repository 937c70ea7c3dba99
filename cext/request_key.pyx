"""Reads from a request what it is recognised by. A request without it goes by its address."""

from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, strlen

from gateway.cext.field_name cimport name_equals
from gateway.cext.head cimport field_name, field_value, find_named
from gateway.cext.native cimport GwField, gw_hash_key

KINDS = {"header": KEY_HEADER, "cookie": KEY_COOKIE, "user": KEY_USER, "ip": KEY_IP}


cdef class RequestKey:
    def __init__(self, dict spec):
        self.kind = KINDS[spec["source"]]
        self.name = spec["name"].encode()

    cdef uint64_t hash(self, Exchange exchange) noexcept:
        """The same for the same key in every worker and on every host."""
        cdef const char* value = exchange.peer
        cdef size_t size = strlen(value)
        cdef Py_ssize_t length = 0
        if self.kind == KEY_HEADER:
            find_header(exchange, self.name, &value, &size)
        elif self.kind == KEY_COOKIE:
            find_cookie(exchange, self.name, &value, &size)
        elif self.kind == KEY_USER and exchange.principal is not None and exchange.principal.user:
            value = PyUnicode_AsUTF8AndSize(exchange.principal.user, &length)
            size = <size_t>length
        return gw_hash_key(<const uint8_t*>value, size)


cdef bint find_header(Exchange exchange, bytes name, const char** value, size_t* size) noexcept:
    """The first field of this name. Without one, `value` and `size` stay as they are."""
    cdef const GwField* field = find_named(&exchange.request, <const char*>name, len(name))
    if field == NULL:
        return False
    value[0] = exchange.request.base + field.value_off
    size[0] = field.value_len
    return True


cdef bint find_cookie(Exchange exchange, bytes name, const char** value, size_t* size) noexcept:
    """As for headers; in all Cookie fields (RFC 6265 section 5.4: `a=1; b=2`)."""
    cdef uint32_t i
    for i in range(exchange.request.count):
        if name_equals(field_name(&exchange.request, i), exchange.request.fields[i].name_len, b"cookie", 6):
            if find_pair(field_value(&exchange.request, i), exchange.request.fields[i].value_len,
                         name, len(name), value, size):
                return True
    return False


cdef bint find_pair(const char* pairs, size_t length, const char* name, size_t name_size,
                    const char** value, size_t* size) noexcept:
    cdef size_t at = 0, end
    while at < length:
        while at < length and (pairs[at] == 32 or pairs[at] == 9):
            at += 1
        end = at
        while end < length and pairs[end] != 59:
            end += 1
        if end - at > name_size and memcmp(pairs + at, name, name_size) == 0 and pairs[at + name_size] == 61:
            value[0] = pairs + at + name_size + 1
            size[0] = end - at - name_size - 1
            return True
        at = end + 1
    return False
