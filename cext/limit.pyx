"""Asks all policies of a route at once: in one call of Rust, or by way of the store that hosts share.

What this host knows is decided at once, all or nothing. Only what the store has to decide makes the exchange
wait, and then what this host has given is given back if the store refuses.
"""

from libc.stdint cimport uint32_t

from gateway.cext.buffer cimport Buffer, buffer_put, buffer_put_uint
from gateway.cext.native cimport (
    GW_RATE_LIMIT_ALLOWED_TOTAL,
    GW_RATE_LIMIT_DRY_RUN_TOTAL,
    GW_RATE_LIMIT_EXCEEDED_TOTAL,
    gw_in_flight_enter,
    gw_in_flight_leave,
    gw_limits_acquire,
    gw_limits_refund,
    gw_metrics_limit_add,
)
from gateway.cext.plan cimport GO, WAIT, refuse
from gateway.cext.rate_limit cimport (
    FAIL_ALLOW,
    FAIL_DENY,
    MODE_EXACT,
    MODE_LEASED,
    MODE_MEMORY,
)
from gateway.cext.refusal cimport LIMITER_UNAVAILABLE, NO_CODE, RATE_LIMITED, refusal
from gateway.cext.exchange cimport MAX_ENTERED
from gateway.cext.worker cimport Worker

cdef enum:
    NS_PER_S = 1000000000
    NS_PER_MS = 1000000
    # Seconds: when to come back after too many requests at the same time; nobody knows when one ends.
    CONCURRENT_RETRY_S = 1
    # How often a request asks for a lease that others use up before it: then it is refused.
    LEASE_ATTEMPTS = 3

# Of what is only counted
cdef uint64_t NO_LIMIT = 0xFFFFFFFF

# The cell of a lease beside that of the same caller's local bucket
cdef uint64_t LEASE_KEY = 0x5555555555


cdef Verdict limit_early(Exchange exchange) noexcept:
    """What needs no credential, asked before one is looked at."""
    return judge(exchange, exchange.route.early_limits, True)


cdef Verdict limit(Exchange exchange) noexcept:
    """429 with when to come back, or goes on; either with what is left."""
    return judge(exchange, exchange.route.limits, False)


cdef Verdict judge(Exchange exchange, list limits, bint early) noexcept:
    cdef Judgement judgement = exchange.worker.judgement
    cdef Code code
    judgement.early = early
    judgement.plan = exchange.plan
    judgement.now_ns = exchange.worker.clock.now_ns
    code = judgement.gather(exchange, limits)
    if code == NO_CODE:
        judgement.acquire(exchange)
        if judgement.unknown or (judgement.allowed and judgement.count > judgement.local):
            exchange.worker.judgement = Judgement()
            exchange.suspend(settle(exchange, exchange.serial, judgement))
            return WAIT
        code = judgement.conclude(exchange)
    judgement.plan = None
    if code == NO_CODE:
        return GO
    return refuse(exchange, code)


cdef class Judgement:
    cdef Code gather(self, Exchange exchange, list limits) noexcept:
        """The questions; those that only the store can answer come last. Counts what is under way."""
        cdef RateLimit limit
        cdef Allowance allowance
        cdef bint reachable = exchange.worker.limit_store is not None and not exchange.worker.limit_store_away
        cdef bint has_remote = False
        cdef Code code
        self.count = 0
        for limit in limits:
            allowance = limit.allowance_for(exchange.principal)
            if allowance is None:
                continue
            if limit.concurrent:
                if not enter(exchange, limit, allowance):
                    exchange.retry_after_s = CONCURRENT_RETRY_S
                    return RATE_LIMITED
            elif limit.mode == MODE_EXACT and reachable:
                has_remote = True
            else:
                code = self.ask(exchange, limit, allowance, limit.mode == MODE_MEMORY or reachable)
                if code != NO_CODE:
                    return code
        self.local = self.count
        if has_remote:
            for limit in limits:
                allowance = limit.allowance_for(exchange.principal)
                if limit.mode == MODE_EXACT and allowance is not None:
                    self.put(exchange, limit, allowance, allowance.rule, 1)
        return NO_CODE

    cdef Code ask(self, Exchange exchange, RateLimit limit, Allowance allowance, bint known) noexcept:
        """A question that this host answers. Not `known`: the store should, and is away."""
        if known:
            self.put(exchange, limit, allowance,
                     allowance.lease_rule if limit.mode == MODE_LEASED else allowance.rule, 1)
            return NO_CODE
        exchange.worker.fallback_decisions += 1
        if limit.on_failure == FAIL_DENY and limit.enforced:
            return LIMITER_UNAVAILABLE
        if limit.on_failure != FAIL_ALLOW:
            # This host's share: each request costs as much as one on every host.
            self.put(exchange, limit, allowance, allowance.rule, exchange.worker.hosts)
        return NO_CODE

    cdef void put(self, Exchange exchange, RateLimit limit, Allowance allowance, uint32_t rule,
                  uint32_t share) noexcept:
        cdef GwAsk* ask
        if self.count == MAX_ASKS:
            return
        ask = &self.asks[self.count]
        ask.rule = rule
        ask.weight = limit.weight * exchange.route.weight * share
        ask.enforced = limit.enforced
        ask.key = limit.key_of(exchange, allowance)
        if rule != allowance.rule:
            ask.key ^= LEASE_KEY
        self.limits[self.count] = <PyObject*>limit
        self.allowances[self.count] = <PyObject*>allowance
        self.count += 1

    cdef void acquire(self, Exchange exchange) noexcept:
        cdef size_t i
        cdef Worker worker = exchange.worker
        self.allowed = True
        self.unknown = False
        if self.local == 0:
            return
        self.allowed = gw_limits_acquire(worker.segment_address, self.plan.limits_handle, self.asks,
                                         self.local, self.now_ns, self.quotas)
        for i in range(self.local):
            if self.quotas[i].wants_more:
                worker.spawn(worker.limit_store.top_up(self.lease_question(exchange, i)))
            elif not self.quotas[i].allowed and self.quotas[i].retry_ns == 0:
                self.unknown = True

    cdef void refund(self, Exchange exchange) noexcept:
        if self.local and self.allowed:
            gw_limits_refund(exchange.worker.segment_address, self.plan.limits_handle, self.asks,
                             self.local, self.now_ns, self.quotas)

    cdef Code conclude(self, Exchange exchange) noexcept:
        """All answers are there: counts them, and writes what is left."""
        cdef size_t i, tightest = 0
        cdef bint told = False
        for i in range(self.count):
            self.count_answer(exchange, i)
            if self.asks[i].enforced and (not told or self.is_tighter(i, tightest)):
                tightest = i
                told = True
        if not self.allowed:
            exchange.retry_after_s = <uint32_t>seconds(self.quotas[tightest].retry_ns)
        if told and not (self.early and self.allowed):
            write_fields(self, tightest, &exchange.answer_fields)
        return NO_CODE if self.allowed else RATE_LIMITED

    cdef void count_answer(self, Exchange exchange, size_t i) noexcept:
        cdef uint32_t counter = GW_RATE_LIMIT_ALLOWED_TOTAL
        if not self.quotas[i].allowed:
            counter = GW_RATE_LIMIT_EXCEEDED_TOTAL if self.asks[i].enforced else GW_RATE_LIMIT_DRY_RUN_TOTAL
        elif not self.allowed:
            return
        gw_metrics_limit_add(exchange.worker.region, (<RateLimit>self.limits[i]).label,
                             exchange.route.label, counter, 1)

    cdef bint is_tighter(self, size_t i, size_t than) noexcept:
        """A refusal before what is allowed, the longest wait before others, then the smallest part left."""
        cdef const GwQuota* a = &self.quotas[i]
        cdef const GwQuota* b = &self.quotas[than]
        if a.allowed != b.allowed:
            return b.allowed
        if not a.allowed:
            return a.retry_ns > b.retry_ns
        return (<double>a.remaining * (<Allowance>self.allowances[than]).burst
                < <double>b.remaining * (<Allowance>self.allowances[i]).burst)

    cdef tuple lease_question(self, Exchange exchange, size_t i):
        cdef RateLimit limit = <RateLimit>self.limits[i]
        return (self.plan.limits, limit.name, limit.text_of(exchange), <Allowance>self.allowances[i],
                self.asks[i].key, self.asks[i].weight)

    cdef list unknown_leases(self, Exchange exchange):
        return [
            self.lease_question(exchange, i) for i in range(self.local)
            if not self.quotas[i].allowed and self.quotas[i].retry_ns == 0
        ]

    cdef list store_questions(self, Exchange exchange):
        questions = []
        for i in range(self.local, self.count):
            limit = <RateLimit>self.limits[i]
            questions.append((limit.name, limit.algorithm, limit.text_of(exchange),
                              <Allowance>self.allowances[i], self.asks[i].weight, self.asks[i].enforced))
        return questions

    cdef void take_answers(self, list answers) noexcept:
        """`answers`: allowed, remaining, ms until all is there again, ms until a retry."""
        cdef size_t i
        for i in range(self.local, self.count):
            allowed, remaining, reset_ms, retry_ms = answers[i - self.local]
            self.quotas[i].allowed = allowed
            self.quotas[i].remaining = remaining
            self.quotas[i].reset_ns = reset_ms * NS_PER_MS
            self.quotas[i].retry_ns = max(1, retry_ms) * NS_PER_MS
            if not allowed and self.asks[i].enforced:
                self.allowed = False

    cdef Code fall_back(self, Exchange exchange) noexcept:
        """The store did not answer: asks everything anew, of this host alone."""
        self.refund(exchange)
        self.now_ns = exchange.worker.clock.now_ns
        leave_all(exchange)
        code = self.gather(exchange, exchange.route.early_limits if self.early else exchange.route.limits)
        if code != NO_CODE:
            return code
        self.acquire(exchange)
        return self.conclude(exchange)


async def settle(Exchange exchange, uint64_t serial, Judgement judgement):
    """Asks the store for what this host does not know; returns the code of a refusal, or None."""
    store = exchange.worker.limit_store
    for _ in range(LEASE_ATTEMPTS):
        if not judgement.unknown:
            break
        reached = await store.lease(judgement.unknown_leases(exchange))
        if exchange.serial != serial:
            return None
        if not reached:
            return named(judgement.fall_back(exchange))
        judgement.now_ns = exchange.worker.clock.now_ns
        judgement.acquire(exchange)
    if judgement.allowed and judgement.count > judgement.local:
        answers = await store.decide(judgement.store_questions(exchange))
        if exchange.serial != serial:
            return None
        if answers is None:
            return named(judgement.fall_back(exchange))
        judgement.take_answers(answers)
        if not judgement.allowed:
            judgement.allowed = True
            judgement.refund(exchange)
            judgement.allowed = False
    return named(judgement.conclude(exchange))


cdef object named(Code code):
    return None if code == NO_CODE else refusal(code).code.decode()


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
    cdef uint32_t i
    for i in range(exchange.entered_count):
        gw_in_flight_leave(exchange.worker.segment_address, exchange.entered[i],
                           <uint32_t>exchange.worker.slot, exchange.worker.clock.now_ns)
    exchange.entered_count = 0


cdef void write_fields(Judgement judgement, size_t tightest, Buffer* out) noexcept:
    """X-RateLimit-… of the tightest policy; RateLimit-Policy of all and RateLimit of the tightest, as
    draft-ietf-httpapi-ratelimit-headers-10 has them."""
    cdef const GwQuota* quota = &judgement.quotas[tightest]
    cdef Allowance allowance = <Allowance>judgement.allowances[tightest]
    cdef RateLimit limit = <RateLimit>judgement.limits[tightest]
    cdef uint64_t reset_s = seconds(quota.reset_ns)
    cdef size_t i
    cdef bint first = True
    buffer_put(out, b"X-RateLimit-Limit: ", 19)
    buffer_put_uint(out, allowance.burst)
    buffer_put(out, b"\r\nX-RateLimit-Remaining: ", 25)
    buffer_put_uint(out, quota.remaining)
    buffer_put(out, b"\r\nX-RateLimit-Reset: ", 21)
    buffer_put_uint(out, reset_s)
    buffer_put(out, b"\r\nRateLimit-Policy: ", 20)
    for i in range(judgement.count):
        if judgement.asks[i].enforced:
            if not first:
                buffer_put(out, b", ", 2)
            first = False
            put_bytes(out, (<Allowance>judgement.allowances[i]).policy)
    buffer_put(out, b"\r\nRateLimit: ", 13)
    put_bytes(out, limit.quoted)
    buffer_put(out, b";r=", 3)
    buffer_put_uint(out, quota.remaining)
    buffer_put(out, b";t=", 3)
    # The draft: not when everything is back, but when more than `r` is.
    buffer_put_uint(out, reset_s if quota.allowed else seconds(quota.retry_ns))
    buffer_put(out, b"\r\n", 2)


cdef inline void put_bytes(Buffer* out, bytes text) noexcept:
    buffer_put(out, <const char*>text, len(text))


cdef inline uint64_t seconds(uint64_t ns) noexcept:
    return (ns + NS_PER_S - 1) // NS_PER_S
