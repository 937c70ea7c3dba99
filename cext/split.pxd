"""A route's requests, divided between services."""

from libc.stdint cimport uint32_t, uint64_t

from gateway.cext.exchange cimport Exchange
from gateway.cext.request_key cimport RequestKey
from gateway.cext.service cimport Service


cdef class Test:
    """What a header or cookie must look like."""
    cdef bint is_cookie
    cdef bytes name
    cdef str op                     # interned: exact, prefix, present or absent
    cdef bytes value
    cdef bint holds(self, Exchange exchange) noexcept


cdef class Part:
    cdef Service service
    cdef uint32_t weight
    cdef uint32_t place             # where the segment may have a share that lies over the weight
    cdef list tests                 # of Test; empty: takes nothing but its share
    cdef bint takes(self, Exchange exchange) noexcept


cdef class Split:
    cdef list parts                 # of Part
    cdef uint32_t total
    cdef RequestKey by              # None: drawn anew for each request
    cdef list backwards             # the parts, the last first
    cdef Service choose(self, Exchange exchange)
    cdef Service by_weight(self, Exchange exchange, uint64_t at)
