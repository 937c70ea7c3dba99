"""Hedged requests: when the first endpoint takes longer than usual, a second one is asked, too, and whoever
answers first is passed on (J. Dean, L. A. Barroso, "The Tail at Scale", 2013).

    original  --attempt-->  endpoint A        the first head of an answer wins;
       `- Hedge --attempt-->  endpoint B      the other connection is closed

A hedge is an exchange that has an attempt and nothing else: no client, no deadline, no place in the bulkhead.
Those are its original's. When it wins, the original takes over its connection.
"""

from libc.stdint cimport int32_t, uint32_t, uint64_t

from gateway.cext.exchange cimport Exchange
from gateway.cext.forward cimport (
    begin_attempt,
    count,
    end_attempt,
    is_admitted,
    leave_endpoint,
    outrun,
    pick,
    try_again,
)
from gateway.cext.framing cimport Framing
from gateway.cext.head cimport Head
from gateway.cext.hedging cimport HEDGE_FAILED, HEDGE_LOST, HEDGE_SENT, HEDGE_WON
from gateway.cext.native cimport (
    GW_FAILURE,
    GW_SUCCESS,
    GW_UPSTREAM_HEDGES_FAILED_TOTAL,
    GW_UPSTREAM_HEDGES_TOTAL,
    GW_UPSTREAM_HEDGES_WON_TOTAL,
    GW_UPSTREAM_RETRIES_DENIED_TOTAL,
    gw_breaker_is_closed,
)
from gateway.cext.plan cimport GO
from gateway.cext.pool cimport Pool
from gateway.cext.refusal cimport UPSTREAM_OVERLOADED, UPSTREAM_RESET, Code
from gateway.cext.service cimport Retries, Service
from gateway.cext.sides cimport Upstream

cdef void begin_hedge(Exchange original) noexcept:
    """Never while the breaker is anything but closed, and only what can be sent whole."""
    cdef Service service = original.service
    cdef Retries retries = service.retries
    cdef int32_t index
    cdef Hedge hedge
    if original.body_lost or not original.request_complete or original.attempts >= retries.attempts:
        return
    if service.breaker_handle != NULL and not gw_breaker_is_closed(service.breaker_handle):
        return
    index = pick(original)
    if index < 0 or <uint32_t>index == original.endpoint or not (<Pool>service.pools[index]).has_room():
        return
    if not retries.withdraw():
        count(original, GW_UPSTREAM_RETRIES_DENIED_TOTAL)
        return
    hedge = Hedge(original.worker, original.downstream)
    hedge.original = original
    hedge.service = service
    hedge.is_head = original.is_head  # of its answer's framing
    hedge.active = True
    if service.breaker_handle != NULL and not is_admitted(hedge):
        return
    count(original, GW_UPSTREAM_HEDGES_TOTAL)
    original.hedge = hedge
    original.hedged = HEDGE_SENT
    original.tried[original.attempts] = <uint32_t>index
    original.attempts += 1
    if begin_attempt(hedge, <uint32_t>index) == GO:
        hedge.upstream.flush()


cdef bint yields(Exchange exchange, int status) noexcept:
    """The first attempt has the head of an answer. True if it is one that would be tried again: then the
    hedge, which is under way, has its chance; else the hedge is over."""
    cdef Retries retries = exchange.service.retries
    if status >= 500 and retries.statuses[status - 500]:
        exchange.drop_upstream()
        await_hedge(exchange)
        return True
    cancel_hedge(exchange)
    return False


cdef bint relies_on_hedge(Exchange exchange) noexcept:
    """The first attempt has waited for a connection for too long, and its hedge may still answer."""
    if exchange.hedge is None or not exchange.waiting or exchange.deadline_code != UPSTREAM_OVERLOADED:
        return False
    exchange.waiting = False
    exchange.pool.leave_queue()
    await_hedge(exchange)
    return True


cdef void await_hedge(Exchange exchange) noexcept:
    """The first attempt has failed: all depends on the hedge."""
    leave_endpoint(exchange)
    exchange.end_wait()


cdef void cancel_hedge(Exchange exchange) noexcept:
    """Somebody else has answered, or nobody waits any more."""
    cdef Hedge hedge = <Hedge>exchange.hedge
    exchange.hedged = HEDGE_LOST
    hedge.cancel()


cdef class Hedge(Exchange):
    cdef void attach(self, Upstream upstream) noexcept:
        cdef Exchange original = self.original
        self.waiting = False
        self.upstream = upstream
        upstream.exchange = self
        upstream.send_head(original)
        if original.held.size:
            upstream.send_body(original.held.data, original.held.size)
        upstream.send_end(original)

    cdef void wait_until(self, uint64_t due_ms, Code code) noexcept:
        """Its dial has a timeout, and its original a deadline."""

    cdef void on_interim(self, int status, const Head* head) noexcept:
        """Not passed on: it may not be the winner's."""

    cdef void on_response_head(self, int status, const Head* head, Framing framing) noexcept:
        cdef Exchange original = self.original
        end_attempt(self, GW_FAILURE if status >= 500 else GW_SUCCESS)
        if status >= 500 and self.service.retries.statuses[status - 500] and is_under_way(original):
            self.drop_upstream()
            self.fail(UPSTREAM_RESET, False)
        else:
            self.take_over()
            original.on_response_head(status, head, framing)

    cdef void on_upstream_failed(self, Code code, bint replayable) noexcept:
        cdef bint unsent = self.upstream is None
        self.upstream = None
        self.waiting = False
        if replayable and not self.replayed:
            self.replayed = True
            self.pool.count_retry()
            self.pool.acquire(self, True)
            return
        end_attempt(self, GW_FAILURE)
        self.fail(code, unsent)

    cdef void refuse(self, Code code) noexcept:
        """No connection is to be had."""
        if self.active:
            self.fail(code, True)

    cdef void fail(self, Code code, bint unsent) noexcept:
        cdef Exchange original = self.original
        original.hedged = HEDGE_FAILED
        count(original, GW_UPSTREAM_HEDGES_FAILED_TOTAL)
        self.cancel()
        if not is_under_way(original) and not try_again(original, code, unsent):
            original.refuse(code)

    cdef void take_over(self) noexcept:
        """Gives the connection to the original, whose own attempt ends here."""
        cdef Exchange original = self.original
        original.hedged = HEDGE_WON
        count(original, GW_UPSTREAM_HEDGES_WON_TOTAL)
        if original.attempt_open:
            outrun(original)
        original.drop_upstream()
        if original.waiting:
            original.waiting = False
            original.pool.leave_queue()
        leave_endpoint(original)
        original.end_wait()
        original.pool = self.pool
        original.endpoint = self.endpoint
        original.in_endpoint = self.in_endpoint
        original.upstream = self.upstream
        original.upstream.exchange = original
        if original.downstream.write_paused:
            original.upstream.pause_response()
        self.in_endpoint = False
        self.upstream = None
        self.cancel()

    cdef void cancel(self) noexcept:
        """Lets go of all that it still holds. Whoever calls this holds the hedge."""
        self.active = False
        self.leave_service()
        self.serial += 1
        self.original.hedge = None
        self.original = None


cdef bint is_under_way(Exchange exchange) noexcept:
    """Whether its own attempt may still get an answer."""
    return exchange.upstream is not None or exchange.waiting
