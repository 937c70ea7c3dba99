"""The writing half of a client's connection, in HTTP/1.0 and HTTP/1.1."""

from gateway.cext.exchange cimport Exchange
from gateway.cext.response_head cimport Persistence
from gateway.cext.sides cimport Downstream
from gateway.cext.wire cimport Wire
from gateway.cext.worker cimport Worker

cdef enum:
    # Bytes. An answered request's unread body is read up to here to keep the connection; beyond it, closed.
    MAX_DISCARD = 65536


cdef class ResponseWriter(Downstream):
    cdef Worker worker
    cdef Wire wire
    cdef Exchange exchange
    cdef bint keep_alive
    cdef bint sends_chunks
    cdef Persistence persistence(self) noexcept
    cdef bint is_rest_short(self) noexcept
