"""When a request is hedged: after a delay, which is fixed or what most requests of the service need.

Each worker has one queue for a service and one timer for its head: the delay is about the same for all, so
they come due in the order of their beginning.
"""

from collections import deque

from libc.stdint cimport int64_t

from gateway.cext.forward cimport may_repeat
from gateway.cext.hedge cimport begin_hedge
from gateway.cext.native cimport gw_latency_observe, gw_latency_quantile

cdef enum:
    NS_PER_S = 1000000000
    NS_PER_US = 1000


cdef class Hedging:
    def __init__(self, Worker worker, label, dict spec):
        self.worker = worker
        self.label = label
        self.permille = round(spec["quantile"] * 1000)
        self.delay_ns = round(spec["delay"] * NS_PER_S)
        self.queue = deque()

    cdef void watch(self, Exchange exchange) noexcept:
        """An attempt has begun. Looks at it again when it takes too long."""
        cdef int64_t usual_us
        cdef uint64_t due_ns = exchange.attempt_ns + self.delay_ns
        if not may_repeat(exchange):
            return
        if self.permille:
            usual_us = gw_latency_quantile(self.worker.segment_address, self.label)
            if usual_us < 0:
                return
            if <uint64_t>usual_us * NS_PER_US > self.delay_ns:
                due_ns = exchange.attempt_ns + <uint64_t>usual_us * NS_PER_US
        # Most are over long before they are due: the queue is as long as the slowest one lets it be.
        while self.queue and not self.is_waiting(self.queue[0]):
            self.queue.popleft()
        self.queue.append((exchange, exchange.serial, due_ns))
        if not self.armed:
            self.arm(due_ns)

    cdef void observe(self, uint64_t latency_us) noexcept:
        if self.permille:
            gw_latency_observe(self.worker.segment_address, self.label, self.permille, latency_us)

    cdef void arm(self, uint64_t due_ns) noexcept:
        cdef uint64_t now_ns = self.worker.clock.now_ns
        cdef double wait_s = (due_ns - now_ns) / <double>NS_PER_S if due_ns > now_ns else 0.0
        self.armed = True
        self.worker.loop.call_later(wait_s, self.due)

    def due(self):
        """Hedges what has waited long enough; comes back for what has not yet."""
        self.armed = False
        self.worker.clock.read()
        while self.queue:
            entry = self.queue[0]
            if self.is_waiting(entry):
                if <uint64_t>entry[2] > self.worker.clock.now_ns:
                    self.arm(entry[2])
                    return
                begin_hedge(<Exchange>entry[0])
            self.queue.popleft()

    cdef bint is_waiting(self, tuple entry) noexcept:
        """Whether the first attempt of a queue's entry is still under way, and for this service: a fallback
        may have brought the exchange to another one."""
        cdef Exchange exchange = <Exchange>entry[0]
        return (exchange.serial == <uint64_t>entry[1] and exchange.attempts == 1 and exchange.attempt_open
                and exchange.hedge is None and exchange.service is not None
                and exchange.service.hedging is self)
