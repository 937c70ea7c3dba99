"""A service of the Plan: its endpoints, and what happens when they fail. Replaced with the Plan."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from gateway.cext.bulkhead cimport Bulkhead
from gateway.cext.hedging cimport Hedging
from gateway.cext.native cimport GwBreaker, GwEndpoints
from gateway.cext.request_key cimport RequestKey
from gateway.cext.worker cimport Worker


cdef enum Cause:
    """Why an attempt failed, as `retries.on` names it."""
    CAUSE_CONNECT = 1
    CAUSE_RESET = 2
    CAUSE_TIMEOUT = 4


cdef class Retries:
    """When a request is sent again, and the budget for it."""
    cdef int attempts               # at most, the first included
    cdef uint32_t causes            # of Cause
    cdef uint8_t statuses[100]      # from 500 on: whether it is tried again
    cdef uint32_t methods           # a bit for each GwMethod that may be sent again though not idempotent
    cdef double budget              # what a request adds …
    cdef double tokens              # … to these; a retry takes one
    cdef uint64_t backoff_ms
    cdef uint64_t backoff_max_ms
    cdef size_t body_limit          # bytes that are kept
    cdef void deposit(self) noexcept
    cdef bint withdraw(self) noexcept
    cdef uint64_t wait_ms(self, int retry, uint64_t random) noexcept


cdef class Fallback:
    cdef int status
    cdef bytes fields
    cdef bytes body
    cdef object index               # of the other service in the Plan, or None
    cdef Service service            # that one


cdef class Service:
    cdef readonly str name
    cdef bytes log_name             # the name as a JSON string
    cdef uint32_t label
    cdef readonly list pools        # of Pool, in the order of the endpoints' indexes
    cdef bytes host                 # sent as Host instead of the downstream's, or None
    cdef uint64_t total_ms          # 0 = none

    cdef object endpoint_set
    cdef const GwEndpoints* endpoints   # NULL: none has been discovered yet
    cdef RequestKey hash_by         # None: not needed
    cdef bytes cookie_name          # sticky, or None
    cdef bytes cookie_attributes
    cdef bint counted               # the endpoints want to know when an attempt begins and ends
    cdef bint reported              # … or the breaker does
    cdef object breaker
    cdef const GwBreaker* breaker_handle    # NULL: none
    cdef uint64_t slow_us           # a slower answer is a failure to the breaker; 0 = none is
    cdef Bulkhead bulkhead          # or None
    cdef Retries retries            # or None
    cdef Hedging hedging            # or None
    cdef Fallback fallback          # or None
