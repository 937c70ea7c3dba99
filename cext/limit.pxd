"""The stages that ask how much may still be called."""

from gateway.cext.exchange cimport Exchange
from gateway.cext.plan cimport Verdict


cdef Verdict limit_early(Exchange exchange) noexcept
cdef Verdict limit(Exchange exchange) noexcept
