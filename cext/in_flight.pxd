"""Requests of one caller that are under way at the same time."""

from libc.stdint cimport uint32_t

from gateway.cext.exchange cimport Exchange
from gateway.cext.rate_limit cimport Allowance, RateLimit


cdef bint enter(Exchange exchange, RateLimit limit, Allowance allowance) noexcept
cdef void leave_all(Exchange exchange) noexcept
cdef void leave_above(Exchange exchange, uint32_t kept) noexcept
