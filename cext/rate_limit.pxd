"""A policy about how much may be called, as the Plan brings it."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from gateway.cext.buffer cimport Buffer
from gateway.cext.exchange cimport Exchange
from gateway.cext.lane cimport AskMode
from gateway.cext.principal cimport Principal


cdef enum KeyKind:
    KEY_USER
    KEY_CLIENT
    KEY_API_KEY
    KEY_IP
    KEY_ROUTE
    KEY_SERVICE
    KEY_GLOBAL
    KEY_HEADER
    KEY_CLAIM


cdef enum Mode:
    MODE_MEMORY
    MODE_EXACT
    MODE_LEASED


cdef enum OnFailure:
    FAIL_LOCAL
    FAIL_ALLOW
    FAIL_DENY


cdef class Allowance:
    """How much some callers have."""
    cdef uint64_t salt                  # keeps the keys of different policies apart
    cdef readonly uint32_t rule         # index in Plan.limits, for this host alone
    cdef readonly uint32_t lease_rule   # … for what the store has granted
    cdef readonly uint64_t limit        # in each period
    cdef readonly uint64_t period_ms
    cdef readonly uint64_t burst        # what may be had at once
    cdef readonly uint64_t lease        # tokens that a host takes at most
    cdef bytes terms                    # `kind`, encoded
    cdef bytes asked                    # the question that was asked last, encoded …
    cdef int64_t asked_weight           # … and what it was about
    cdef AskMode asked_mode
    cdef readonly tuple kind            # kind, limit, period (ms), burst, as the store takes them
    cdef bytes key_head                 # of its keys in the store
    cdef bint is_store_log              # the store keeps each request
    cdef bytes policy                   # its item of the field RateLimit-Policy

    cdef bytes question(self, int64_t weight, AskMode mode)
    cdef tuple store_terms(self, str name)


cdef class Tier:
    """Callers with another allowance."""
    cdef str test                       # scope, client, policy, claim
    cdef str claim
    cdef str value
    cdef Allowance allowance            # None: they are not limited


cdef class RateLimit:
    cdef readonly str name
    cdef readonly str algorithm
    cdef readonly uint32_t label
    cdef bytes key_word                 # user:, client:, …
    cdef bytes key_tail
    cdef KeyKind key
    cdef bytes field                    # lower case, of KEY_HEADER
    cdef str claim                      # of KEY_CLAIM
    cdef Allowance allowance
    cdef list tiers
    cdef Mode mode
    cdef OnFailure on_failure
    cdef uint32_t weight
    cdef bytes cost_field               # lower case; of the answer, or None
    cdef uint32_t ipv6_prefix
    cdef bint enforced
    cdef bint early
    cdef bint concurrent
    cdef bytes quoted                   # the name as a structured string

    cdef Allowance allowance_for(self, Principal principal)
    cdef uint64_t key_of(self, Exchange exchange, Allowance allowance) noexcept
    cdef uint64_t field_hash(self, Exchange exchange) noexcept
    cdef uint64_t address_hash(self, Exchange exchange) noexcept
    cdef void network_of(self, Exchange exchange, uint8_t* address) noexcept
    cdef void put_key(self, Exchange exchange, Allowance allowance, Buffer* out) noexcept
    cdef void put_who(self, Exchange exchange, Buffer* out) noexcept
    cdef void put_named(self, Exchange exchange, str name, Buffer* out) noexcept
    cdef void put_field(self, Exchange exchange, Buffer* out) noexcept
    cdef void put_text(self, Exchange exchange, const char* text, size_t size, Buffer* out) noexcept
    cdef void put_address(self, Exchange exchange, Buffer* out) noexcept

cdef tuple build_limits(list specs, segment)
