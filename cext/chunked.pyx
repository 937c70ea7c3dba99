"""Chunks have the size of what came in one piece; extensions are never sent."""

from gateway.cext.buffer cimport buffer_put, buffer_put_hex
from gateway.cext.request_head cimport write_trailers


cdef void write_chunk(Wire wire, const char* data, size_t size) noexcept:
    """`size` is not 0, which would end the body."""
    buffer_put_hex(&wire.out, size)
    buffer_put(&wire.out, b"\r\n", 2)
    wire.write(data, size)
    wire.write(b"\r\n", 2)


cdef void write_last_chunk(Wire wire, const Head* trailers) noexcept:
    """The end of the body. `trailers`: NULL if there are none."""
    buffer_put(&wire.out, b"0\r\n", 3)
    if trailers != NULL:
        write_trailers(trailers, &wire.out)
    buffer_put(&wire.out, b"\r\n", 2)
