"""What an exchange asks of its two sides. Another protocol is another subclass of these."""

from libc.stdint cimport uint64_t

from gateway.cext.buffer cimport Buffer
from gateway.cext.exchange cimport Exchange
from gateway.cext.head cimport Head
from gateway.cext.pool cimport ConnectionState
from gateway.cext.wire cimport Connection


cdef class Downstream(Connection):
    """What an exchange asks of the client's side."""
    cdef bint write_paused          # the client does not take what was sent
    cdef void send_interim(self, Exchange exchange, int status, const Head* head) noexcept
    cdef void send_head(self, Exchange exchange, const Head* head) noexcept
    cdef void send_body(self, const char* data, size_t size) noexcept
    cdef void send_end(self, const Head* trailers) noexcept
    cdef void send_answer(self, Exchange exchange, Buffer* fields, Buffer* body) noexcept
    cdef void flush(self) noexcept
    cdef void pause_request(self) noexcept
    cdef void resume_request(self) noexcept
    cdef void exchange_over(self) noexcept
    cdef void deadline_changed(self) noexcept
    # … and the worker, of any connection
    cdef void drain(self) noexcept
    cdef void drop(self) noexcept
    cdef void abort(self) noexcept


cdef class Upstream(Connection):
    """What an exchange asks of the service's side."""
    cdef Exchange exchange
    cdef ConnectionState state      # the pool's
    cdef bint reused                # has served an exchange before
    cdef bint write_paused          # the service does not take what was sent
    cdef void send_head(self, Exchange exchange) noexcept
    cdef void send_body(self, const char* data, size_t size) noexcept
    cdef void send_end(self, Exchange exchange) noexcept
    cdef void flush(self) noexcept
    cdef void pause_response(self) noexcept
    cdef void resume_response(self) noexcept
    cdef void abort(self) noexcept
    # … and its pool
    cdef bint is_open(self) noexcept
    cdef void rest(self, uint64_t idle_ms) noexcept
