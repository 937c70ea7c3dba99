"""The last stage: brings an exchange to an endpoint of its service, again if need be."""

from gateway.cext.exchange cimport Exchange
from gateway.cext.native cimport GwOutcome
from gateway.cext.plan cimport Verdict
from gateway.cext.refusal cimport Code

cdef Verdict forward(Exchange exchange) noexcept
cdef void go_to_endpoint(Exchange exchange) noexcept
cdef void end_attempt(Exchange exchange, GwOutcome outcome) noexcept
cdef void leave_endpoint(Exchange exchange) noexcept
cdef bint try_again(Exchange exchange, Code code, bint unsent) noexcept
cdef bint try_again_after(Exchange exchange, int status) noexcept
cdef bint is_rescued(Exchange exchange, Code code) noexcept
cdef void stick(Exchange exchange) noexcept
