"""The writing side of a connection: straight to the socket while the kernel takes it."""

from libc.stdint cimport uint64_t

from gateway.cext.buffer cimport Buffer


cdef class Wire:
    cdef object transport
    cdef int fd                 # -1 once closed: a number may belong to somebody else by then
    cdef Buffer out             # gathered during an event, sent at its end in one call
    cdef bint buffered          # the transport holds bytes, so all goes through it until it is empty
    cdef bint keeps_reading     # a failed write leaves the connection open: an answer may lie unread
    cdef bint broken            # a write failed; nothing more can be sent
    cdef uint64_t sent          # bytes handed over since the connection opened
    cdef uint64_t* total        # … and on all connections of this kind, or NULL
    cdef void open(self, transport) noexcept
    cdef bint is_open(self) noexcept
    cdef void write(self, const char* data, size_t size) noexcept
    cdef void flush(self) noexcept
    cdef void add_sent(self, size_t size) noexcept
    cdef size_t unsent(self) noexcept
    cdef uint64_t taken(self) noexcept
    cdef void close(self) noexcept
    cdef void abort(self) noexcept
    cdef void reset(self) noexcept
    cdef void send_both(self, const char* data, size_t size) noexcept
    cdef ssize_t taken_or_abort(self, ssize_t taken) noexcept
    cdef void hand_over(self, const char* data, size_t size) noexcept
    cdef bint transport_is_busy(self) noexcept
    cdef void finish_writing(self) noexcept
    cdef void lost(self) noexcept
