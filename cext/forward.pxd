"""The last stage: brings an exchange to an endpoint of its service, again if need be."""

from libc.stdint cimport int32_t, uint32_t

from gateway.cext.exchange cimport Exchange
from gateway.cext.native cimport GwOutcome
from gateway.cext.plan cimport Verdict
from gateway.cext.refusal cimport Code
from gateway.cext.service cimport Service

cdef Verdict forward(Exchange exchange) noexcept
cdef Verdict forward_to(Exchange exchange, Service service) noexcept
cdef void flush_attempt(Exchange exchange) noexcept
cdef void go_to_endpoint(Exchange exchange) noexcept
cdef Verdict begin_attempt(Exchange exchange, uint32_t index) noexcept
cdef bint is_admitted(Exchange exchange) noexcept
cdef int32_t pick(Exchange exchange) noexcept
cdef void end_attempt(Exchange exchange, GwOutcome outcome) noexcept
cdef void outrun(Exchange exchange) noexcept
cdef void leave_endpoint(Exchange exchange) noexcept
cdef void count(Exchange exchange, uint32_t counter) noexcept
cdef bint may_repeat(Exchange exchange) noexcept
cdef bint try_again(Exchange exchange, Code code, bint unsent) noexcept
cdef bint try_again_after(Exchange exchange, int status) noexcept
cdef bint is_rescued(Exchange exchange, Code code) noexcept
