"""Whether a parsed request head may become an exchange."""

from gateway.cext.exchange cimport Exchange
from gateway.cext.llhttp cimport llhttp_t
from gateway.cext.refusal cimport Code

cdef Code admit(Exchange exchange, const llhttp_t* parser) noexcept
cdef void admit_nothing(Exchange exchange) noexcept
