"""Brings an exchange to an endpoint, and decides what comes after an attempt that failed.

    forward -> (bulkhead) -> attempt: breaker, endpoint, pool
                 attempt failed: another attempt | the fallback | a refusal

An attempt begins with the breaker's leave and a pick, and is reported once: when its answer's head is there,
or when it has failed. Its endpoint is left when its answer is complete.
"""

import logging

from libc.stdint cimport int32_t, uint32_t, uint64_t

from gateway.cext.buffer cimport Buffer, buffer_free, buffer_put, buffer_put_uint
from gateway.cext.hedging cimport HEDGE_FAILED
from gateway.cext.native cimport (
    GW_ABANDONED,
    GW_BREAKER_HALF_OPEN,
    GW_BREAKER_OPEN,
    GW_BULKHEAD_REFUSED_TOTAL,
    GW_CIRCUIT_BREAKER_CLOSED_TOTAL,
    GW_CIRCUIT_BREAKER_HALF_OPENED_TOTAL,
    GW_CIRCUIT_BREAKER_OPENED_TOTAL,
    GW_CIRCUIT_BREAKER_REFUSED_TOTAL,
    GW_FAILURE,
    GW_FALLBACKS_TOTAL,
    GW_SUCCESS,
    GW_UPSTREAM_EJECTIONS_TOTAL,
    GW_UPSTREAM_RETRIES_DENIED_TOTAL,
    GW_UPSTREAM_RETRIES_TOTAL,
    GwAdmission,
    gw_breaker_admit,
    gw_breaker_report,
    gw_endpoints_begin,
    gw_endpoints_end,
    gw_endpoints_find,
    gw_endpoints_outrun,
    gw_endpoints_pick,
    gw_endpoints_report,
    gw_metrics_service_add,
)
from gateway.cext.plan cimport GO, REFUSED, refuse
from gateway.cext.pool cimport Pool
from gateway.cext.refusal cimport (
    BULKHEAD_FULL,
    CIRCUIT_OPEN,
    NO_CODE,
    NO_HEALTHY_ENDPOINT,
    UPSTREAM_RESET,
    UPSTREAM_TIMEOUT,
    UPSTREAM_UNAVAILABLE,
    refusal,
)
from gateway.cext.service cimport (
    CAUSE_CONNECT,
    CAUSE_RESET,
    CAUSE_TIMEOUT,
    Fallback,
    Retries,
    Service,
)
from gateway.cext.sticky_cookie cimport cookie_key

log = logging.getLogger("gateway.upstream")

STATES = ("closed", "open", "half open")


cdef Verdict forward(Exchange exchange) noexcept:
    """The stage."""
    if exchange.route.mirror is not None:
        exchange.route.mirror.reflect(exchange)
    if exchange.route.split is not None:
        return forward_to(exchange, exchange.route.split.choose(exchange))
    return forward_to(exchange, exchange.route.service)


cdef Verdict forward_to(Exchange exchange, Service service) noexcept:
    cdef uint64_t due_ms
    cdef Verdict verdict
    exchange.service = service
    exchange.attempts = 0
    if service.total_ms:
        due_ms = exchange.worker.clock.now_ms + service.total_ms
        if due_ms < exchange.total_ms:
            exchange.deadline_ms = exchange.total_ms = due_ms
    if service.retries is not None:
        service.retries.deposit()
        exchange.kept_limit = service.retries.body_limit if may_repeat(exchange) else 0
    if service.bulkhead is not None:
        verdict = service.bulkhead.enter(exchange)
        if verdict != GO:
            return verdict
    return attempt(exchange)


cdef void go_to_endpoint(Exchange exchange) noexcept:
    """An attempt outside of the run of the stages, which nobody flushes."""
    attempt(exchange)
    flush_attempt(exchange)


cdef void flush_attempt(Exchange exchange) noexcept:
    if exchange.upstream is not None:
        exchange.upstream.flush()
        if exchange.upstream is not None and not exchange.upstream.write_paused:
            exchange.downstream.resume_request()


# --- an attempt ---------------------------------------------------------------------------------------

cdef Verdict attempt(Exchange exchange) noexcept:
    """Chooses an endpoint and takes a connection of its pool, at once or when one is free."""
    cdef Service service = exchange.service
    cdef int32_t index
    cdef Verdict verdict
    if service.endpoints == NULL:
        return refuse(exchange, UPSTREAM_UNAVAILABLE)
    if service.breaker_handle != NULL and not is_admitted(exchange):
        return refuse(exchange, CIRCUIT_OPEN)
    index = pick(exchange)
    if index < 0:
        return refuse(exchange, NO_HEALTHY_ENDPOINT)
    exchange.tried[exchange.attempts] = <uint32_t>index
    exchange.attempts += 1
    verdict = begin_attempt(exchange, <uint32_t>index)
    if verdict != REFUSED and service.hedging is not None and exchange.attempts == 1:
        service.hedging.watch(exchange)
    return verdict


cdef Verdict begin_attempt(Exchange exchange, uint32_t index) noexcept:
    cdef Service service = exchange.service
    exchange.endpoint = index
    if service.reported:
        exchange.attempt_open = True
        exchange.attempt_ns = exchange.worker.clock.now_ns
        if service.counted:
            exchange.in_endpoint = True
            gw_endpoints_begin(service.endpoints, index)
    return (<Pool>service.pools[index]).acquire(exchange, False)


cdef bint is_admitted(Exchange exchange) noexcept:
    """Asks the breaker. What it admits is reported, so the attempt is open from here on."""
    cdef GwAdmission admission
    gw_breaker_admit(exchange.service.breaker_handle, exchange.worker.clock.now_ms, &admission)
    if admission.entered >= 0:
        breaker_entered(exchange, admission.entered)
    if admission.retry_after_ms:
        exchange.retry_after_s = <uint32_t>((admission.retry_after_ms + 999) // 1000)
        return False
    exchange.ticket = admission.ticket
    exchange.attempt_open = True
    exchange.attempt_ns = exchange.worker.clock.now_ns
    return True


cdef int32_t pick(Exchange exchange) noexcept:
    cdef Service service = exchange.service
    cdef uint64_t now_ms = exchange.worker.clock.now_ms
    cdef uint64_t hash = 0
    cdef int32_t index
    if service.cookie_name is not None and exchange.attempts == 0:
        index = gw_endpoints_find(service.endpoints, now_ms, cookie_key(exchange))
        if index >= 0:
            return index
    if service.hash_by is not None:
        hash = service.hash_by.hash(exchange)
    return gw_endpoints_pick(service.endpoints, now_ms, exchange.worker.random(), hash,
                             exchange.tried, exchange.attempts)


cdef void end_attempt(Exchange exchange, GwOutcome outcome) noexcept:
    """Reports the attempt to endpoint and breaker, once."""
    cdef Service service = exchange.service
    cdef uint64_t now_ms = exchange.worker.clock.now_ms
    cdef uint64_t latency_us = (exchange.worker.clock.now_ns - exchange.attempt_ns) // 1000
    cdef int32_t entered
    if not exchange.attempt_open:
        return
    exchange.attempt_open = False
    if exchange.in_endpoint and outcome != GW_ABANDONED:
        if gw_endpoints_report(service.endpoints, exchange.endpoint, outcome == GW_FAILURE,
                               latency_us, now_ms):
            count(exchange, GW_UPSTREAM_EJECTIONS_TOTAL)
            log.warning("%s of %s is left out for a while: requests to it fail",
                        (<Pool>service.pools[exchange.endpoint]).url, service.name)
    if service.hedging is not None and outcome == GW_SUCCESS and is_first(exchange):
        service.hedging.observe(latency_us)
    if service.breaker_handle != NULL:
        if outcome == GW_SUCCESS and service.slow_us and latency_us > service.slow_us:
            outcome = GW_FAILURE
        entered = gw_breaker_report(service.breaker_handle, exchange.ticket, outcome, now_ms,
                                    exchange.worker.random())
        if entered >= 0:
            breaker_entered(exchange, entered)


cdef bint is_first(Exchange exchange) noexcept:
    """Whether this is the first attempt: later ones are of requests that were slow, or failed, before."""
    return (exchange.attempts == 1 or exchange.hedge is not None
            or (exchange.attempts == 2 and exchange.hedged == HEDGE_FAILED))


cdef void outrun(Exchange exchange) noexcept:
    """Another attempt has answered first: what is known of this one is that it would have taken longer."""
    cdef Service service = exchange.service
    cdef uint64_t latency_us = (exchange.worker.clock.now_ns - exchange.attempt_ns) // 1000
    service.hedging.observe(latency_us)
    if exchange.in_endpoint:
        gw_endpoints_outrun(service.endpoints, exchange.endpoint, latency_us, exchange.worker.clock.now_ms)
    end_attempt(exchange, GW_FAILURE if service.slow_us and latency_us > service.slow_us else GW_ABANDONED)


cdef void leave_endpoint(Exchange exchange) noexcept:
    end_attempt(exchange, GW_ABANDONED)
    if exchange.in_endpoint:
        exchange.in_endpoint = False
        gw_endpoints_end(exchange.service.endpoints, exchange.endpoint)


cdef void breaker_entered(Exchange exchange, int32_t state) noexcept:
    if state == GW_BREAKER_OPEN:
        count(exchange, GW_CIRCUIT_BREAKER_OPENED_TOTAL)
    elif state == GW_BREAKER_HALF_OPEN:
        count(exchange, GW_CIRCUIT_BREAKER_HALF_OPENED_TOTAL)
    else:
        count(exchange, GW_CIRCUIT_BREAKER_CLOSED_TOTAL)
    log.warning("circuit breaker of %s: %s", exchange.service.name, STATES[state])


cdef void count(Exchange exchange, uint32_t counter) noexcept:
    gw_metrics_service_add(exchange.worker.region, exchange.service.label, counter, 1)


# --- another attempt ----------------------------------------------------------------------------------

cdef bint may_repeat(Exchange exchange) noexcept:
    """Whether the service may see the request twice."""
    return (exchange.is_idempotent or exchange.service.retries.methods >> exchange.method_id & 1) != 0


cdef bint try_again(Exchange exchange, Code code, bint unsent) noexcept:
    """After an attempt without an answer. `unsent`: the service has seen nothing of it."""
    cdef Retries retries = exchange.service.retries
    cdef uint32_t cause = 0
    if retries is None:
        return False
    if unsent and code != UPSTREAM_TIMEOUT:
        cause = CAUSE_CONNECT
    elif code == UPSTREAM_RESET:
        cause = CAUSE_RESET
    elif code == UPSTREAM_TIMEOUT:
        cause = CAUSE_TIMEOUT
    if not retries.causes & cause or not (unsent or may_repeat(exchange)):
        return False
    return schedule(exchange, retries)


cdef bint try_again_after(Exchange exchange, int status) noexcept:
    """After an answer of 500 or above, of which nothing has been passed on."""
    cdef Retries retries = exchange.service.retries
    if not retries.statuses[status - 500] or not may_repeat(exchange):
        return False
    return schedule(exchange, retries)


cdef bint schedule(Exchange exchange, Retries retries) noexcept:
    cdef uint64_t wait_ms = retries.wait_ms(exchange.attempts - 1, exchange.worker.random())
    if exchange.body_lost or exchange.attempts >= retries.attempts:
        return False
    if exchange.worker.clock.now_ms + wait_ms >= exchange.total_ms:
        return False
    if not retries.withdraw():
        count(exchange, GW_UPSTREAM_RETRIES_DENIED_TOTAL)
        return False
    count(exchange, GW_UPSTREAM_RETRIES_TOTAL)
    exchange.drop_upstream()
    leave_endpoint(exchange)
    exchange.backing_off = True
    exchange.worker.loop.call_later(wait_ms / 1000.0, attempt_again, exchange, exchange.serial)
    return True


def attempt_again(Exchange exchange, uint64_t serial):
    """The wait before a retry is over; the exchange may be, too."""
    if exchange.serial == serial and exchange.backing_off:
        exchange.backing_off = False
        exchange.worker.clock.read()
        go_to_endpoint(exchange)


# --- the fallback ---------------------------------------------------------------------------------------

cdef bint is_rescued(Exchange exchange, Code code) noexcept:
    """The exchange is about to be refused: ends the attempt; True if a fallback answers instead."""
    end_attempt(exchange, GW_FAILURE if code == UPSTREAM_TIMEOUT else GW_ABANDONED)
    if code == BULKHEAD_FULL:
        count(exchange, GW_BULKHEAD_REFUSED_TOTAL)
    elif code == CIRCUIT_OPEN:
        count(exchange, GW_CIRCUIT_BREAKER_REFUSED_TOTAL)
    return refusal(code).upstream and fall_back(exchange)


cdef bint fall_back(Exchange exchange) noexcept:
    """Answers in place of the service, or asks another one. False: there is no way to."""
    cdef Fallback fallback = exchange.service.fallback
    if fallback is None or exchange.fell_back or (fallback.service is not None and exchange.body_lost):
        return False
    exchange.fell_back = True
    count(exchange, GW_FALLBACKS_TOTAL)
    exchange.leave_service()
    if fallback.service is None:
        answer_statically(exchange, fallback)
        return True
    buffer_put(&exchange.answer_fields, b"X-Gateway-Fallback: service\r\n", 29)
    exchange.error = NO_CODE
    exchange.retry_after_s = 0
    exchange.end_wait()
    forward_to(exchange, fallback.service)
    exchange.downstream.deadline_changed()
    flush_attempt(exchange)
    return True


cdef void answer_statically(Exchange exchange, Fallback fallback) noexcept:
    cdef Buffer fields = Buffer(NULL, 0, 0)
    cdef Buffer body = Buffer(NULL, 0, 0)
    buffer_put(&fields, <const char*>fallback.fields, len(fallback.fields))
    buffer_put(&body, <const char*>fallback.body, len(fallback.body))
    if fallback.status == 503 and exchange.retry_after_s:
        buffer_put(&fields, b"Retry-After: ", 13)
        buffer_put_uint(&fields, exchange.retry_after_s)
        buffer_put(&fields, b"\r\n", 2)
    buffer_put(&exchange.answer_fields, b"X-Gateway-Fallback: static\r\n", 28)
    exchange.answer(fallback.status, &fields, &body)
    buffer_free(&fields)
    buffer_free(&body)
