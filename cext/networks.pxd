"""Networks, and the address that a request comes from."""

from libc.stdint cimport uint8_t, uint32_t

from gateway.cext.exchange cimport Exchange


cdef struct Network:
    uint8_t address[16]     # IPv4 as ::ffff:a.b.c.d
    uint32_t prefix         # bits


cdef class Networks:
    cdef Network* networks
    cdef readonly size_t count
    cdef bint holds(self, const uint8_t* address) noexcept

cdef bint client_address(Exchange exchange, uint8_t* out) noexcept
