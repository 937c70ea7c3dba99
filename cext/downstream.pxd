"""A client's connection, in HTTP/1.0 and HTTP/1.1."""

from libc.stdint cimport uint64_t

from gateway.cext.address cimport sockaddr
from gateway.cext.buffer cimport Buffer
from gateway.cext.parser cimport Parser
from gateway.cext.refusal cimport Code
from gateway.cext.response_writer cimport ResponseWriter


cdef enum DownstreamState:
    AWAITING        # between two requests
    READING_HEAD
    EXCHANGING      # the head is read; the exchange runs
    DISCARDING      # answered before the body was read: the rest of it goes unread
    LINGERING       # our side is closed; what still arrives is thrown away so that no reset kills the answer
    GONE


cdef enum EmptyLine:
    NO_EMPTY_LINE
    EMPTY_LINE_CR
    EMPTY_LINE_WHOLE


cdef enum ReadStop:
    """Why reading is paused; it goes on when no reason is left."""
    STOP_BODY = 1       # the upstream does not take the body as fast as it comes
    STOP_PIPELINE = 2   # enough of later requests is waiting


cdef class Http1Downstream(ResponseWriter):
    cdef DownstreamState state
    cdef Parser parser
    cdef Buffer pending             # bytes of later requests (pipelining)
    cdef bint feeding               # inside the parser: no second entry
    cdef EmptyLine empty_line       # before the next request line
    cdef bint eof                   # the client has closed its sending side
    cdef int read_stops
    cdef uint64_t head_due_ms       # counted from the head's first byte, however it drips in
    cdef uint64_t body_mark         # body bytes at the timer's last look
    cdef uint64_t taken_mark        # bytes that the client had taken at the timer's last look
    cdef uint64_t discarded
    cdef void open(self, int fd, const sockaddr* peer) noexcept
    cdef bint is_busy(self) noexcept
    cdef void feed(self, const char* data, size_t size) noexcept
    cdef size_t skip_empty_line(self, const char* data, size_t size) noexcept
    cdef void after_event(self) noexcept
    cdef void next_request(self) noexcept
    cdef void begin_exchange(self, Code code) noexcept
    cdef void reject(self, Code code) noexcept
    cdef void on_parse_error(self, int error) noexcept
    cdef void arm_exchange(self) noexcept
    cdef bint is_write_stalled(self) noexcept
    cdef bint is_body_slow(self) noexcept
    cdef void stop_reading(self, ReadStop reason) noexcept
    cdef void start_reading(self, ReadStop reason) noexcept
    cdef void end(self) noexcept
    cdef void linger(self) noexcept
    cdef void arm_linger(self) noexcept
