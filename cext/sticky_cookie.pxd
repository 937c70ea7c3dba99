"""Writes and reads the cookie that names an endpoint."""

from libc.stdint cimport uint64_t

from gateway.cext.exchange cimport Exchange

cdef uint64_t cookie_key(Exchange exchange) noexcept
cdef void stick(Exchange exchange) noexcept
