"""Request methods by llhttp's numbers."""

from libc.stdint cimport uint32_t

cdef enum:
    # llhttp's own numbers
    METHOD_CONNECT = 5
    METHOD_TRACE = 7


cdef struct Method:
    const char* name
    uint32_t size
    uint32_t metrics_id     # GwMethod
    bint idempotent         # RFC 9110 section 9.2.2


cdef const Method* method_of(int number) noexcept
