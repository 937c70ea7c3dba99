"""A second attempt of an exchange that begins while the first one is still under way."""

from gateway.cext.exchange cimport Exchange
from gateway.cext.refusal cimport Code


cdef class Hedge(Exchange):
    """The second attempt. It reads the request from its original, and never answers by itself."""
    cdef Exchange original          # None once it is over
    cdef void fail(self, Code code, bint unsent) noexcept
    cdef void take_over(self) noexcept
    cdef void cancel(self) noexcept


cdef void begin_hedge(Exchange original) noexcept
cdef bint yields(Exchange exchange, int status) noexcept
cdef bint relies_on_hedge(Exchange exchange) noexcept
cdef void await_hedge(Exchange exchange) noexcept
cdef void cancel_hedge(Exchange exchange) noexcept
