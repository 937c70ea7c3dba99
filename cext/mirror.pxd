"""Mirror traffic: copies of a route's requests for another service, whose answers nobody sees."""

from libc.stdint cimport uint64_t

from gateway.cext.exchange cimport Exchange
from gateway.cext.request_key cimport RequestKey
from gateway.cext.service cimport Service


cdef class Mirror:
    cdef Service service
    cdef uint64_t share             # of the requests that are copied, of 2**32
    cdef RequestKey by              # None: drawn anew for each request
    cdef size_t body_limit          # bytes that are kept until a body is whole
    cdef size_t max_requests        # copies under way at the same time, in this worker
    cdef readonly bint credentials  # whether the service sees them
    cdef void reflect(self, Exchange exchange) noexcept
    cdef void drop(self, Exchange exchange) noexcept
