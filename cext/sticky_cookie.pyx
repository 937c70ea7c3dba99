"""A cookie that brings a client back to the endpoint that served it first."""

from gateway.cext.buffer cimport Buffer, buffer_put, buffer_put_char
from gateway.cext.native cimport gw_endpoints_key
from gateway.cext.request_key cimport find_cookie
from gateway.cext.service cimport Service

cdef enum:
    KEY_DIGITS = 16     # of an endpoint's key, hexadecimal


cdef uint64_t cookie_key(Exchange exchange) noexcept:
    """The endpoint's key that the client's cookie holds; 0 without one."""
    cdef const char* value = NULL
    cdef size_t size = 0, i
    cdef uint64_t key = 0
    cdef char digit
    if not find_cookie(exchange, exchange.service.cookie_name, &value, &size) or size != KEY_DIGITS:
        return 0
    for i in range(KEY_DIGITS):
        digit = value[i]
        if 48 <= digit <= 57:
            key = key << 4 | <uint64_t>(digit - 48)
        elif 97 <= digit <= 102:
            key = key << 4 | <uint64_t>(digit - 87)
        else:
            return 0
    return key


cdef void stick(Exchange exchange) noexcept:
    """Tells the client which endpoint it has, unless it knows."""
    cdef Service service = exchange.service
    cdef Buffer* fields = &exchange.answer_fields
    cdef uint64_t key = gw_endpoints_key(service.endpoints, exchange.endpoint)
    cdef const char* digits = b"0123456789abcdef"
    cdef int shift
    if key == cookie_key(exchange):
        return
    buffer_put(fields, b"Set-Cookie: ", 12)
    buffer_put(fields, <const char*>service.cookie_name, len(service.cookie_name))
    buffer_put(fields, b"=", 1)
    for shift in range(60, -4, -4):
        buffer_put_char(fields, digits[(key >> shift) & 15])
    buffer_put(fields, <const char*>service.cookie_attributes, len(service.cookie_attributes))
