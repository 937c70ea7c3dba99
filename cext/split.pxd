"""A route's requests, divided between services."""

from libc.stdint cimport uint32_t, uint64_t

from gateway.cext.exchange cimport Exchange
from gateway.cext.principal cimport Principal
from gateway.cext.request_key cimport RequestKey
from gateway.cext.service cimport Service


cdef enum Subject:
    """What a test looks at."""
    HEADER
    COOKIE
    CLAIM


cdef class Test:
    """What a header, a cookie or a claim of the caller's token must look like."""
    cdef Subject subject
    cdef bytes name
    cdef str claim                  # the name as a token has it
    cdef str claimed                # … and the value
    cdef str op                     # interned: exact, prefix, present or absent
    cdef bytes value
    cdef bint holds(self, Exchange exchange) noexcept
    cdef bint holds_for(self, Principal principal)
    cdef bint fits(self, value)


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
