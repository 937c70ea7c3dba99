"""Writes the response head that an HTTP/1.1 client gets."""

from gateway.cext.buffer cimport Buffer
from gateway.cext.exchange cimport Exchange
from gateway.cext.head cimport Head


cdef enum Persistence:
    PERSIST             # HTTP/1.1, the connection stays
    PERSIST_HTTP10      # it stays, and HTTP/1.0 has to be told
    CLOSE

cdef void write_response_head(Exchange exchange, const Head* head, Persistence persistence, bint chunked,
                              const char* date, Buffer* out) noexcept
cdef void write_interim_head(int status, const Head* head, Buffer* out) noexcept
cdef void write_answer_head(Exchange exchange, const Buffer* fields, size_t body_size,
                            Persistence persistence, const char* date, Buffer* out) noexcept
