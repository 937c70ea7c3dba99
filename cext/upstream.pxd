"""A connection to a service, in HTTP/1.1."""

from gateway.cext.exchange cimport Exchange
from gateway.cext.framing cimport Framing
from gateway.cext.head cimport Head
from gateway.cext.parser cimport Parser
from gateway.cext.pool cimport Pool
from gateway.cext.refusal cimport Code
from gateway.cext.sides cimport Upstream
from gateway.cext.wire cimport Wire


cdef class Http1Upstream(Upstream):
    cdef Pool pool
    cdef Wire wire
    cdef Parser parser
    cdef Head head
    cdef Head trailers
    cdef Framing framing
    cdef bint got_bytes         # of the current answer
    cdef bint head_done         # of the final response
    cdef bint message_done
    cdef bint keep_alive
    cdef bint reading_paused
    cdef list addresses         # of `sockaddr`, still to be tried
    cdef bint sends_chunks      # the request body leaves in chunks
    cdef int interim_count
    cdef size_t reason_size     # bytes of the reason phrase
    cdef void dial(self, list addresses) noexcept
    cdef void dial_failed(self, Code code) noexcept
    cdef void read_failed(self, Code code) noexcept
    cdef void complete(self, size_t leftover) noexcept
