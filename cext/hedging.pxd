"""Decides when a second endpoint is asked, too."""

from libc.stdint cimport uint32_t, uint64_t

from gateway.cext.exchange cimport Exchange
from gateway.cext.worker cimport Worker


cdef enum HedgeOutcome:
    """What became of an exchange's hedge."""
    NO_HEDGE
    HEDGE_SENT          # not decided yet
    HEDGE_WON           # its answer was first
    HEDGE_LOST          # the first attempt's was
    HEDGE_FAILED


cdef class Hedging:
    """When a service's requests are hedged."""
    cdef Worker worker
    cdef uint32_t label             # of the service
    cdef uint32_t permille          # of the latencies that lie below the delay; 0 = it is fixed
    cdef uint64_t delay_ns          # fixed, or the least
    cdef object queue               # deque of (Exchange, serial, due), in order of their beginning
    cdef bint armed                 # the timer is set
    cdef bint is_waiting(self, tuple entry) noexcept
    cdef void watch(self, Exchange exchange) noexcept
    cdef void observe(self, uint64_t latency_us) noexcept
    cdef void arm(self, uint64_t due_ns) noexcept
