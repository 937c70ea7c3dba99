"""Writes the request head that an HTTP/1.1 service gets."""

from gateway.cext.buffer cimport Buffer
from gateway.cext.exchange cimport Exchange
from gateway.cext.head cimport Head


cdef struct Lines:
    # Neighbouring field lines of a head that leave as they came, in one copy
    const char* start
    const char* end


cdef void write_request_head(Exchange exchange, Buffer* out, bytes endpoint_authority) noexcept
cdef void write_trailers(const Head* trailers, Buffer* out) noexcept
cdef void copy_field(const Head* head, unsigned int index, Lines* lines, Buffer* out) noexcept
cdef void flush_lines(Lines* lines, Buffer* out) noexcept
cdef void write_field(const Head* head, unsigned int index, Buffer* out) noexcept
cdef bint has_nominations(const Head* head) noexcept
cdef bint is_nominated(const Head* head, unsigned int index) noexcept
