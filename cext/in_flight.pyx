"""Counts requests of one caller that are under way: entered by the stage, left when the exchange ends."""

from libc.stdint cimport uint64_t

from gateway.cext.exchange cimport MAX_ENTERED
from gateway.cext.native cimport (
    GW_RATE_LIMIT_ALLOWED_TOTAL,
    GW_RATE_LIMIT_EXCEEDED_TOTAL,
    gw_in_flight_enter,
    gw_in_flight_leave,
    gw_metrics_limit_add,
)

# Of what is only counted
cdef uint64_t NO_LIMIT = 0xFFFFFFFF


cdef bint enter(Exchange exchange, RateLimit limit, Allowance allowance) noexcept:
    """Whether the caller may have one more request under way."""
    cdef uint64_t key = limit.key_of(exchange, allowance)
    cdef uint64_t most = allowance.burst if limit.enforced else NO_LIMIT
    cdef uint32_t counter = GW_RATE_LIMIT_ALLOWED_TOTAL
    cdef bint entered
    if exchange.entered_count == MAX_ENTERED:
        return True
    entered = gw_in_flight_enter(exchange.worker.segment_address, key, <uint32_t>exchange.worker.slot, most,
                                 exchange.worker.clock.now_ns)
    if entered:
        exchange.entered[exchange.entered_count] = key
        exchange.entered_count += 1
    else:
        counter = GW_RATE_LIMIT_EXCEEDED_TOTAL
    gw_metrics_limit_add(exchange.worker.region, limit.label, exchange.route.label, counter, 1)
    return entered


cdef void leave_all(Exchange exchange) noexcept:
    """The request is no longer under way."""
    leave_above(exchange, 0)


cdef void leave_above(Exchange exchange, uint32_t kept) noexcept:
    """Leaves all but the first `kept` that were entered."""
    cdef uint32_t i
    for i in range(kept, exchange.entered_count):
        gw_in_flight_leave(exchange.worker.segment_address, exchange.entered[i],
                           <uint32_t>exchange.worker.slot, exchange.worker.clock.now_ns)
    exchange.entered_count = kept
