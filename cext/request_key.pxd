"""What a request is recognised by: a header, a cookie, its user or its address."""

from libc.stdint cimport uint64_t

from gateway.cext.exchange cimport Exchange


cdef enum KeyKind:
    KEY_HEADER
    KEY_COOKIE
    KEY_USER
    KEY_IP


cdef class RequestKey:
    cdef KeyKind kind
    cdef bytes name                 # of the header, in lower case, or of the cookie
    cdef uint64_t hash(self, Exchange exchange) noexcept

cdef bint find_header(Exchange exchange, bytes name, const char** value, size_t* size) noexcept
cdef bint find_cookie(Exchange exchange, bytes name, const char** value, size_t* size) noexcept
