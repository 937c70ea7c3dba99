"""The chunked coding (RFC 9112 section 7.1), as it is written to either side."""

from gateway.cext.head cimport Head
from gateway.cext.wire cimport Wire


cdef void write_chunk(Wire wire, const char* data, size_t size) noexcept
cdef void write_last_chunk(Wire wire, const Head* trailers) noexcept
