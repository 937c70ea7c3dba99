"""One JSON line for each exchange, gathered in memory and handed over in batches."""

from libc.stdint cimport uint32_t, uint64_t

from gateway.cext.buffer cimport Buffer
from gateway.cext.exchange cimport Exchange


cdef class AccessLog:
    cdef object sink            # Callable[[bytes], None]
    cdef Buffer lines
    cdef uint64_t second        # of the timestamp below
    cdef char timestamp[32]     # "2026-01-31T23:59:59", 19 bytes
    cdef void write(self, Exchange exchange, uint64_t wall_ns, uint64_t duration_ns) noexcept
    cdef void write_time(self, uint64_t wall_ns) noexcept
    cdef void flush(self) noexcept
