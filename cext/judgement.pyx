"""Asks all policies of a route at once: in one call of Rust, or by way of the store that hosts share.

    gather -> acquire -> conclude                          what this host knows
    gather -> acquire -> wait … take -> resolve -> go_on   what the store has to decide
"""

import logging

from cython cimport freelist
from libc.stdint cimport int64_t, uint32_t

from gateway.cext.buffer cimport Buffer
from gateway.cext.cost cimport remember
from gateway.cext.in_flight cimport enter, leave_above
from gateway.cext.lane cimport ASK_COUNTED, ASK_ENFORCED, Batch, Lane, lane_number
from gateway.cext.limit_fields cimport NS_PER_S, seconds, write_fields
from gateway.cext.native cimport (
    GW_RATE_LIMIT_ALLOWED_TOTAL,
    GW_RATE_LIMIT_DRY_RUN_TOTAL,
    GW_RATE_LIMIT_EXCEEDED_TOTAL,
    gw_limits_acquire,
    gw_limits_refund,
    gw_metrics_limit_add,
)
from gateway.cext.rate_limit cimport (
    FAIL_ALLOW,
    FAIL_DENY,
    KEY_API_KEY,
    MODE_EXACT,
    MODE_LEASED,
    MODE_MEMORY,
    Allowance,
    RateLimit,
)
from gateway.cext.refusal cimport (
    INTERNAL_ERROR,
    LIMITER_UNAVAILABLE,
    NO_CODE,
    RATE_LIMITED,
    Code,
    refusal,
)
from gateway.cext.worker cimport Worker

cdef enum:
    NS_PER_MS = 1000000
    # Seconds: when to come back after too many requests at the same time; nobody knows when one ends.
    CONCURRENT_RETRY_S = 1
    # How often a request asks for a lease that others use up before it: then it is refused.
    LEASE_ATTEMPTS = 8
    # A request that costs more than any bucket holds stays one.
    MAX_WEIGHT = 0xFFFFFFFF
    # Callers of one second that are told apart; more are not counted by name.
    MAX_REFUSED = 1000

# The cell of a lease beside that of the same caller's local bucket
cdef uint64_t LEASE_KEY = 0x5555555555

# Where a key is written that goes on to a batch: one thread, one at a time
cdef Buffer scratch = Buffer(NULL, 0, 0)

log = logging.getLogger("gateway.limits")


@freelist(64)
cdef class Judgement:
    cdef Code gather(self, Exchange exchange, list limits) noexcept:
        """The questions; those that only the store can answer come last. Counts what is under way."""
        cdef RateLimit limit
        cdef Allowance allowance
        cdef bint reachable = (exchange.worker.limit_store is not None
                               and not (self.lost or exchange.worker.limit_store_away))
        cdef bint has_remote = False
        cdef Code code
        self.count = 0
        self.held = False
        self.entered_before = exchange.entered_count
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
        ask.weight = <uint32_t>min(MAX_WEIGHT, <uint64_t>limit.weight * exchange.route.weight * share)
        ask.enforced = limit.enforced
        ask.key = limit.key_of(exchange, allowance)
        if rule != allowance.rule:
            ask.key ^= LEASE_KEY
        self.limits[self.count] = <PyObject*>limit
        self.allowances[self.count] = <PyObject*>allowance
        self.count += 1

    cdef void acquire(self, Exchange exchange) noexcept:
        """What this host knows, all or nothing. What it holds from before is given back first."""
        cdef size_t i
        cdef Worker worker = exchange.worker
        self.refund(exchange)
        self.allowed = True
        self.unknown = False
        if self.local == 0:
            return
        self.taken_ns = worker.clock.now_ns
        self.allowed = gw_limits_acquire(worker.segment_address, self.plan.limits_handle, self.asks,
                                         self.local, self.taken_ns, self.quotas)
        self.held = self.allowed
        for i in range(self.local):
            if self.quotas[i].wants_more:
                worker.spawn(worker.limit_store.top_up(self.lease_question(exchange, i)))
            elif not self.quotas[i].allowed and self.quotas[i].retry_ns == 0:
                self.unknown = True

    cdef bint is_lease(self, size_t i) noexcept:
        """Whether tokens of the store are used, and not this host's share."""
        return self.asks[i].rule != (<Allowance>self.allowances[i]).rule

    cdef void refund(self, Exchange exchange) noexcept:
        """What `acquire` has taken, if it has, and once."""
        if self.held:
            self.held = False
            gw_limits_refund(exchange.worker.segment_address, self.plan.limits_handle, self.asks,
                             self.local, self.taken_ns, self.quotas)

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
            exchange.tells_limits = True
        if self.allowed:
            self.remember_costs(exchange)
        return NO_CODE if self.allowed else RATE_LIMITED

    cdef void remember_costs(self, Exchange exchange) noexcept:
        """What was taken for a request whose answer says what it has cost."""
        cdef RateLimit limit
        cdef size_t i
        for i in range(self.count):
            limit = <RateLimit>self.limits[i]
            if limit.cost_field is not None and self.quotas[i].allowed:
                by_store = i >= self.local or self.is_lease(i)
                remember(exchange, limit, <Allowance>self.allowances[i], &self.asks[i], self.taken_ns,
                         self.key_text(exchange, i) if by_store else None,
                         None if self.names is None else self.names.get(i))

    cdef void count_answer(self, Exchange exchange, size_t i) noexcept:
        cdef uint32_t counter = GW_RATE_LIMIT_ALLOWED_TOTAL
        if not self.quotas[i].allowed:
            counter = GW_RATE_LIMIT_DRY_RUN_TOTAL
            if self.asks[i].enforced:
                counter = GW_RATE_LIMIT_EXCEEDED_TOTAL
                self.note_caller(exchange, <RateLimit>self.limits[i])
        elif not self.allowed:
            return
        elif i < self.local and self.is_lease(i):
            exchange.worker.lease_tokens_used += self.asks[i].weight
        gw_metrics_limit_add(exchange.worker.region, (<RateLimit>self.limits[i]).label,
                             exchange.route.label, counter, 1)

    cdef void note_caller(self, Exchange exchange, RateLimit limit) noexcept:
        """Who was refused, if a credential says so: addresses and fields are anybody's to choose."""
        cdef dict refused = exchange.worker.refused
        if exchange.principal is None or limit.key > KEY_API_KEY:
            return
        scratch.size = 0
        limit.put_who(exchange, &scratch)
        who = (limit.name, scratch.data[:scratch.size].decode())
        if who in refused or len(refused) < MAX_REFUSED:
            refused[who] = refused.get(who, 0) + 1

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

    # --- with the store -------------------------------------------------------------------------------

    cdef void wait(self, Exchange exchange) noexcept:
        """Asks for leases of which nothing is known, then for what only the store decides."""
        self.exchange = exchange
        self.serial = exchange.serial
        exchange.suspended = True
        if self.unknown:
            exchange.worker.spawn(fetch_leases(self))
            return
        self.ask_store()
        if self.open_lanes == 0:
            # Not now: the stage has yet to say that it waits.
            exchange.worker.loop.call_soon(self.nobody_answers)

    def nobody_answers(self):
        """All of this request's lanes are away."""
        self.resolve()

    cdef void ask_store(self) noexcept:
        """Puts each question into the lane of its key; those of one lane together."""
        cdef list lanes = self.exchange.worker.lanes
        cdef size_t i
        self.open_lanes = 0
        for i in range(self.local, self.count):
            self.lane_of[i] = self.write_key(i, <uint32_t>len(lanes))
            self.taken[i] = False
            self.lost |= (<Lane>lanes[self.lane_of[i]]).away
        if not self.lost:
            for i in range(self.local, self.count):
                if self.is_first_of_lane(i):
                    self.fill_lane(<Lane>lanes[self.lane_of[i]], i)

    cdef uint32_t write_key(self, size_t i, uint32_t lanes) noexcept:
        """Into `scratch`. Returns the key's lane."""
        scratch.size = 0
        (<RateLimit>self.limits[i]).put_key(self.exchange, <Allowance>self.allowances[i], &scratch)
        return lane_number(scratch.data, scratch.size, lanes)

    cdef bint is_first_of_lane(self, size_t i) noexcept:
        cdef size_t before
        for before in range(self.local, i):
            if self.lane_of[before] == self.lane_of[i]:
                return False
        return True

    cdef void fill_lane(self, Lane lane, size_t first) noexcept:
        cdef Batch batch
        cdef uint32_t questions = 0
        cdef size_t i
        for i in range(first, self.count):
            questions += self.lane_of[i] == self.lane_of[first]
        batch = lane.batch_for(questions)
        batch.open(self, questions)
        self.open_lanes += 1
        for i in range(first, self.count):
            if self.lane_of[i] == self.lane_of[first]:
                if self.count - self.local > 1:  # else it is there from `ask_store`
                    self.write_key(i, 1)
                batch.put(scratch.data, scratch.size, lane.tag, (<Allowance>self.allowances[i]).question(
                    self.asks[i].weight, ASK_ENFORCED if self.asks[i].enforced else ASK_COUNTED))

    cdef size_t take(self, uint32_t lane, str name, const int64_t* answers, size_t at) noexcept:
        """The answers of one lane: allowed, remaining, ms until all is there again, ms until a retry.
        `name`: of the call, `at`: where ours begin. Returns where they end."""
        cdef size_t i
        cdef bint refused = False
        for i in range(self.local, self.count):
            if self.lane_of[i] == lane:
                self.quotas[i].allowed = answers[at]
                self.quotas[i].remaining = answers[at + 1]
                self.quotas[i].reset_ns = <uint64_t>answers[at + 2] * NS_PER_MS
                self.quotas[i].retry_ns = max(<uint64_t>1, <uint64_t>answers[at + 3]) * NS_PER_MS
                refused |= not self.quotas[i].allowed and self.asks[i].enforced
                at += 4
                if (<Allowance>self.allowances[i]).is_store_log:
                    self.name_entry(i, f"{name}:{at // 4}")
        for i in range(self.local, self.count):
            if self.lane_of[i] == lane:
                self.taken[i] = self.quotas[i].allowed and not refused
        if refused:
            self.allowed = False
        self.open_lanes -= 1
        return at

    cdef void name_entry(self, size_t i, str name) noexcept:
        """How the script names what it has put in a log: to take it out again."""
        if self.names is None:
            self.names = {}
        self.names[i] = name

    cdef void lose(self) noexcept:
        """A lane will not answer."""
        self.lost = True
        self.open_lanes -= 1

    cdef void resolve(self) noexcept:
        """Once no answer is outstanding: goes on with the request, if it is still there."""
        cdef Exchange exchange = self.exchange
        cdef Code code
        if self.open_lanes or exchange is None:
            return
        self.exchange = None
        if not exchange.suspended or exchange.serial != self.serial:
            return
        if self.lost or not self.allowed:
            self.give_back(exchange)
        code = self.fall_back(exchange) if self.lost else self.conclude(exchange)
        self.plan = None
        exchange.go_on(named(code))

    cdef void give_back(self, Exchange exchange) noexcept:
        """What this host and some lanes have given to a request that another one refuses."""
        cdef Allowance allowance
        cdef size_t i
        self.refund(exchange)
        for i in range(self.local, self.count):
            if self.taken[i]:
                allowance = <Allowance>self.allowances[i]
                terms = allowance.store_terms(self.names and self.names.get(i))
                weight = -<int64_t>self.asks[i].weight
                (<Lane>exchange.worker.lanes[self.lane_of[i]]).charge(self.key_text(exchange, i), terms,
                                                                      weight)

    cdef str key_text(self, Exchange exchange, size_t i):
        scratch.size = 0
        (<RateLimit>self.limits[i]).put_key(exchange, <Allowance>self.allowances[i], &scratch)
        return scratch.data[:scratch.size].decode()

    cdef tuple lease_question(self, Exchange exchange, size_t i):
        return (self.plan.limits, self.key_text(exchange, i), <Allowance>self.allowances[i],
                self.asks[i].key, self.asks[i].weight)

    cdef void end_unknown(self) noexcept:
        """Others were faster each time: those who are refused come back a little later."""
        cdef size_t i
        if self.unknown:
            for i in range(self.local):
                if not self.quotas[i].allowed and self.quotas[i].retry_ns == 0:
                    self.quotas[i].retry_ns = NS_PER_S

    cdef list unknown_leases(self, Exchange exchange):
        return [
            self.lease_question(exchange, i) for i in range(self.local)
            if not self.quotas[i].allowed and self.quotas[i].retry_ns == 0
        ]

    cdef Code fall_back(self, Exchange exchange) noexcept:
        """The store did not answer: asks everything anew, of this host alone."""
        cdef Code code
        leave_above(exchange, self.entered_before)
        code = self.gather(exchange, exchange.route.early_limits if self.early else exchange.route.limits)
        if code != NO_CODE:
            return code
        self.acquire(exchange)
        return self.conclude(exchange)


async def fetch_leases(Judgement judgement):
    """Fetches tokens that this host has not, then decides anew, or asks what only the store decides."""
    cdef Exchange exchange = judgement.exchange
    store = exchange.worker.limit_store
    try:
        for _ in range(LEASE_ATTEMPTS):
            if not judgement.unknown or judgement.lost or exchange.serial != judgement.serial:
                break
            judgement.lost = not await store.lease(judgement.unknown_leases(exchange))
            if exchange.serial != judgement.serial:
                return
            if not judgement.lost:
                judgement.acquire(exchange)
    except Exception:
        log.exception("a request is refused: its rate limits could not be decided")
        if exchange.serial == judgement.serial:
            exchange.go_on(named(INTERNAL_ERROR))
        return
    judgement.open_lanes = 0
    judgement.end_unknown()
    if judgement.allowed and not judgement.lost and judgement.count > judgement.local:
        judgement.ask_store()
    judgement.resolve()


cdef object named(Code code):
    return None if code == NO_CODE else refusal(code).code.decode()
