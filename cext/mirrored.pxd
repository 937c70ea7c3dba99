"""A copy of a request, on its way to a mirror."""

from libc.stdint cimport uint64_t

from gateway.cext.exchange cimport Exchange
from gateway.cext.mirror cimport Mirror
from gateway.cext.sides cimport Downstream


cdef class Copy(Exchange):
    """It has nobody to answer to, and is neither counted as a request nor logged."""
    cdef set under_way              # the worker's, of the service's copies
    cdef bint begun
    cdef void take(self, Exchange original) noexcept
    cdef void go(self) noexcept


cdef class Sink(Downstream):
    """Where the answer to a copy goes: nowhere."""
    cdef Copy copy                  # None once it is over


cdef void make_copy(Mirror mirror, Exchange exchange, set under_way) noexcept
cdef void copy_body(Exchange exchange, const char* data, size_t size) noexcept
cdef void copy_end(Exchange exchange) noexcept
cdef void drop_copy(Exchange exchange) noexcept
