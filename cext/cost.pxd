"""What a request has cost, once its answer says so."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from gateway.cext.exchange cimport Exchange
from gateway.cext.head cimport Head
from gateway.cext.native cimport GwAsk
from gateway.cext.rate_limit cimport Allowance, RateLimit


cdef class Charge:
    """What one policy took before the answer was there."""
    cdef RateLimit limit
    cdef Allowance allowance
    cdef GwAsk ask
    cdef uint64_t now_ns            # when it was taken
    cdef uint32_t share             # by which costs are multiplied
    cdef str key                    # where the store counts, or None
    cdef str name                   # of what the store's log holds, or None

    cdef void settle(self, Exchange exchange, int64_t cost) noexcept
    cdef void tell_store(self, Exchange exchange, int64_t weight) noexcept

cdef void remember(Exchange exchange, RateLimit limit, Allowance allowance, const GwAsk* ask,
                   uint64_t now_ns, str key, str name)
cdef void settle_costs(Exchange exchange, const Head* head) noexcept
