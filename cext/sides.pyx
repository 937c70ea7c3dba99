"""The two sides of an exchange, as far as it knows them."""

from libc.stdint cimport uint64_t

from gateway.cext.buffer cimport Buffer
from gateway.cext.exchange cimport Exchange
from gateway.cext.head cimport Head


cdef class Downstream(Connection):
    cdef void send_interim(self, Exchange exchange, int status, const Head* head) noexcept:
        raise NotImplementedError

    cdef void send_head(self, Exchange exchange, const Head* head) noexcept:
        raise NotImplementedError

    cdef void send_body(self, const char* data, size_t size) noexcept:
        raise NotImplementedError

    cdef void send_end(self, const Head* trailers) noexcept:
        raise NotImplementedError

    cdef void send_answer(self, Exchange exchange, Buffer* fields, Buffer* body) noexcept:
        raise NotImplementedError

    cdef void flush(self) noexcept:
        raise NotImplementedError

    cdef void pause_request(self) noexcept:
        raise NotImplementedError

    cdef void resume_request(self) noexcept:
        raise NotImplementedError

    cdef void exchange_over(self) noexcept:
        raise NotImplementedError

    cdef void deadline_changed(self) noexcept:
        raise NotImplementedError

    cdef void drain(self) noexcept:
        raise NotImplementedError

    cdef void drop(self) noexcept:
        raise NotImplementedError

    cdef void abort(self) noexcept:
        raise NotImplementedError


cdef class Upstream(Connection):
    cdef void send_head(self, Exchange exchange) noexcept:
        raise NotImplementedError

    cdef void send_body(self, const char* data, size_t size) noexcept:
        raise NotImplementedError

    cdef void send_end(self, Exchange exchange) noexcept:
        raise NotImplementedError

    cdef void flush(self) noexcept:
        raise NotImplementedError

    cdef void pause_response(self) noexcept:
        raise NotImplementedError

    cdef void resume_response(self) noexcept:
        raise NotImplementedError

    cdef void abort(self) noexcept:
        raise NotImplementedError

    cdef bint is_open(self) noexcept:
        return False

    cdef void rest(self, uint64_t idle_ms) noexcept:
        raise NotImplementedError
