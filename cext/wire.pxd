"""A connection's socket: dials, receives, sends straight to the kernel, keeps what it does not take."""

from libc.stdint cimport uint32_t, uint64_t

from gateway.cext.buffer cimport Buffer
from gateway.cext.clock cimport Timed
from gateway.cext.poller cimport Poller, Socket


cdef class Connection(Timed):
    """Whom a wire tells what happens. Only `pause_writing` may come while the owner itself is sending."""
    cdef void dialed(self, int error) noexcept
    cdef void data_received(self, const char* data, size_t size) noexcept
    cdef void eof_received(self) noexcept
    cdef void connection_lost(self) noexcept
    cdef void pause_writing(self) noexcept
    cdef void resume_writing(self) noexcept


cdef class Wire(Socket):
    cdef Connection owner
    cdef Buffer out             # gathered during an event, sent at its end in one call
    cdef Buffer backlog         # what the kernel did not take; all goes through it until it is empty
    cdef size_t backlog_at      # bytes of it that have left since
    cdef bint keeps_reading     # a failed write leaves the connection open: an answer may lie unread
    cdef bint broken            # a write failed; nothing more can be sent
    cdef bint dialing           # connect() is under way
    cdef int dial_error         # why it failed at once
    cdef bint readable          # bytes, or an end, may wait to be received
    cdef bint hung_up           # the peer has sent its end, perhaps behind bytes
    cdef bint eof               # … and it has been received
    cdef bint reading_paused
    cdef bint writing_paused    # the owner has been told so
    cdef bint finishing         # a FIN goes out behind the last byte
    cdef bint closing           # so does the close
    cdef uint64_t sent          # bytes handed over since the connection opened
    cdef uint64_t* total        # … and on all connections of this kind, or NULL
    cdef void open(self, Poller poller, int fd, Connection owner) noexcept
    cdef void dial(self, Poller poller, bytes address, Connection owner) noexcept
    cdef void end_dial(self, int error) noexcept
    cdef bint is_open(self) noexcept
    cdef void pause_reading(self) noexcept
    cdef void resume_reading(self) noexcept
    cdef void receive(self) noexcept
    cdef void write(self, const char* data, size_t size) noexcept
    cdef void flush(self) noexcept
    cdef void add_sent(self, size_t size) noexcept
    cdef size_t unsent(self) noexcept
    cdef uint64_t taken(self) noexcept
    cdef void close(self) noexcept
    cdef void abort(self) noexcept
    cdef void reset(self) noexcept
    cdef void finish_writing(self) noexcept
    cdef void send_both(self, const char* data, size_t size) noexcept
    cdef ssize_t taken_or_abort(self, ssize_t taken) noexcept
    cdef void keep(self, const char* data, size_t size) noexcept
    cdef void send_backlog(self) noexcept
