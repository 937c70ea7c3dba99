"""The stage that asks how much may still be called."""

from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t

from gateway.cext.exchange cimport Exchange
from gateway.cext.native cimport GwAsk, GwQuota
from gateway.cext.plan cimport Plan, Verdict
from gateway.cext.rate_limit cimport Allowance, RateLimit
from gateway.cext.refusal cimport Code

cdef enum:
    MAX_ASKS = 16


cdef class Judgement:
    """The questions about one request and their answers. One for each worker, used again; a request that
    waits for the store takes it along."""
    cdef Plan plan
    cdef uint64_t now_ns
    cdef size_t count               # questions; the first `local` are about what this host knows
    cdef size_t local
    cdef GwAsk asks[MAX_ASKS]
    cdef GwQuota quotas[MAX_ASKS]
    cdef PyObject* limits[MAX_ASKS]         # RateLimit; the plan holds them
    cdef PyObject* allowances[MAX_ASKS]     # Allowance
    cdef bint early
    cdef bint allowed
    cdef bint unknown               # a lease of which nothing is known

    cdef Code gather(self, Exchange exchange, list limits) noexcept
    cdef Code ask(self, Exchange exchange, RateLimit limit, Allowance allowance, bint known) noexcept
    cdef void put(self, Exchange exchange, RateLimit limit, Allowance allowance, uint32_t rule,
                  uint32_t share) noexcept
    cdef void acquire(self, Exchange exchange) noexcept
    cdef void refund(self, Exchange exchange) noexcept
    cdef Code conclude(self, Exchange exchange) noexcept
    cdef void count_answer(self, Exchange exchange, size_t i) noexcept
    cdef bint is_tighter(self, size_t i, size_t than) noexcept
    cdef tuple lease_question(self, Exchange exchange, size_t i)
    cdef list unknown_leases(self, Exchange exchange)
    cdef list store_questions(self, Exchange exchange)
    cdef void take_answers(self, list answers) noexcept
    cdef Code fall_back(self, Exchange exchange) noexcept

cdef Verdict limit_early(Exchange exchange) noexcept
cdef Verdict limit(Exchange exchange) noexcept
cdef void leave_all(Exchange exchange) noexcept
