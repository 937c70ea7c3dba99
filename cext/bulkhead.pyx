"""A bulkhead: so many exchanges run, so many wait for a while, the rest is refused at once.

It outlives the Plan, as a pool does: what runs counts before and after a reload. Each worker has its share
of the bounds, so nobody has to be woken up in another process.
"""

from collections import deque

from gateway.cext.forward cimport go_to_endpoint
from gateway.cext.plan cimport GO, WAIT, refuse
from gateway.cext.refusal cimport BULKHEAD_FULL


cdef class Bulkhead:
    def __init__(self, Worker worker):
        self.worker = worker
        self.queue = deque()

    def __repr__(self):
        return f"<Bulkhead running={self.running} of {self.max_requests} queued={self.queued}>"

    cdef void configure(self, dict spec, int workers) noexcept:
        """Takes the settings of a (new) plan; who runs or waits stays."""
        self.max_requests = max(1, -(-spec["max_requests"] // workers))
        self.max_queue = -(-spec["max_queue"] // workers)
        self.queue_ms = round(spec["queue_timeout"] * 1000)

    cdef Verdict enter(self, Exchange exchange) noexcept:
        exchange.bulkhead = self
        if self.running < self.max_requests:
            self.running += 1
            exchange.in_bulkhead = True
            return GO
        if self.queued >= self.max_queue:
            exchange.bulkhead = None
            return refuse(exchange, BULKHEAD_FULL)
        self.queued += 1
        exchange.in_bulkhead = False
        self.queue.append((exchange, exchange.serial))
        exchange.wait_until(self.worker.clock.now_ms + self.queue_ms, BULKHEAD_FULL)
        return WAIT

    cdef void leave(self, Exchange exchange) noexcept:
        """The exchange is over, or goes elsewhere; its place goes to whoever waits longest."""
        exchange.bulkhead = None
        if not exchange.in_bulkhead:
            self.queued -= 1
            # Those who give up are mostly those who have waited longest; what they hold must not stay.
            while self.queue and self.is_stale(self.queue[0]):
                self.queue.popleft()
            return
        exchange.in_bulkhead = False
        self.running -= 1
        self.admit_next()

    cdef void admit_next(self) noexcept:
        cdef Exchange exchange
        if self.admitting:
            return  # whoever was admitted is over already: the loop below goes on, and not deeper
        self.admitting = True
        while self.queue and self.running < self.max_requests:
            entry = self.queue.popleft()
            if not self.is_stale(entry):
                exchange = <Exchange>entry[0]
                self.queued -= 1
                self.running += 1
                exchange.in_bulkhead = True
                exchange.end_wait()
                go_to_endpoint(exchange)
        self.admitting = False

    cdef bint is_stale(self, entry) noexcept:
        """Whether the exchange of a queue entry has ended or gone on without it."""
        cdef Exchange exchange = <Exchange>entry[0]
        return exchange.serial != <uint64_t>entry[1] or exchange.bulkhead is not self or exchange.in_bulkhead
