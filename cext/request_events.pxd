"""The parser's callbacks for requests."""

from gateway.cext.llhttp cimport llhttp_settings_t
from gateway.cext.parser cimport Parser
from gateway.cext.refusal cimport Code

cdef const llhttp_settings_t* request_settings() noexcept
cdef Code parse_error_code(const Parser* parser, int error) noexcept
