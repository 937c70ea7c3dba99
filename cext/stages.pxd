"""The decisions about a request, in the order in which they are made."""

from gateway.cext.buffer cimport Buffer
from gateway.cext.exchange cimport Exchange
from gateway.cext.plan cimport Route, Verdict

cdef Verdict match(Exchange exchange) noexcept
cdef Verdict transform(Exchange exchange) noexcept
cdef Verdict respond_health(Exchange exchange) noexcept
cdef void compile_stages(Route route, bint sheds) noexcept
cdef void write_allow(Exchange exchange, Buffer* fields) noexcept
