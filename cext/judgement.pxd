"""The questions about one request, and their answers."""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t

from gateway.cext.exchange cimport Exchange
from gateway.cext.lane cimport Lane
from gateway.cext.native cimport GwAsk, GwQuota
from gateway.cext.plan cimport Plan
from gateway.cext.rate_limit cimport Allowance, RateLimit
from gateway.cext.refusal cimport Code

cdef enum:
    MAX_ASKS = 16


cdef class Judgement:
    """One for each worker, used again; a request that waits for the store takes it along."""
    cdef Plan plan
    cdef uint64_t taken_ns          # when this host has taken what it holds
    cdef bint held                  # it has
    cdef uint32_t entered_before    # requests under way that an earlier stage has entered
    cdef size_t count               # questions; the first `local` are about what this host knows
    cdef size_t local
    cdef GwAsk asks[MAX_ASKS]
    cdef GwQuota quotas[MAX_ASKS]
    cdef PyObject* limits[MAX_ASKS]         # RateLimit; the plan holds them
    cdef PyObject* allowances[MAX_ASKS]     # Allowance
    cdef bint early
    cdef bint allowed
    cdef bint unknown               # a lease of which nothing is known

    # While it waits for the store
    cdef Exchange exchange
    cdef uint64_t serial            # of the exchange
    cdef uint32_t open_lanes        # that have not answered
    cdef uint32_t lane_of[MAX_ASKS]
    cdef bint taken[MAX_ASKS]       # by the store
    cdef dict names                 # question -> what the store's log calls it; or None
    cdef bint lost                  # the store will not answer

    cdef Code gather(self, Exchange exchange, list limits) noexcept
    cdef Code ask(self, Exchange exchange, RateLimit limit, Allowance allowance, bint known) noexcept
    cdef void put(self, Exchange exchange, RateLimit limit, Allowance allowance, uint32_t rule,
                  uint32_t share) noexcept
    cdef void acquire(self, Exchange exchange) noexcept
    cdef bint is_lease(self, size_t i) noexcept
    cdef void remember_costs(self, Exchange exchange) noexcept
    cdef void refund(self, Exchange exchange) noexcept
    cdef Code conclude(self, Exchange exchange) noexcept
    cdef void count_answer(self, Exchange exchange, size_t i) noexcept
    cdef void note_caller(self, Exchange exchange, RateLimit limit) noexcept
    cdef bint is_tighter(self, size_t i, size_t than) noexcept
    cdef void wait(self, Exchange exchange) noexcept
    cdef void ask_store(self) noexcept
    cdef uint32_t write_key(self, size_t i, uint32_t lanes) noexcept
    cdef bint is_first_of_lane(self, size_t i) noexcept
    cdef void fill_lane(self, Lane lane, size_t first) noexcept
    cdef size_t take(self, uint32_t lane, str name, const int64_t* answers, size_t at) noexcept
    cdef void name_entry(self, size_t i, str name) noexcept
    cdef void lose(self) noexcept
    cdef void resolve(self) noexcept
    cdef void give_back(self, Exchange exchange) noexcept
    cdef str key_text(self, Exchange exchange, size_t i)
    cdef tuple lease_question(self, Exchange exchange, size_t i)
    cdef void end_unknown(self) noexcept
    cdef list unknown_leases(self, Exchange exchange)
    cdef Code fall_back(self, Exchange exchange) noexcept
