"""llhttp together with the head that it fills, for both directions."""

from libc.stdint cimport uint32_t

from gateway.cext.head cimport Head
from gateway.cext.llhttp cimport llhttp_settings_t, llhttp_t


cdef struct Parser:
    # First, so that llhttp's callbacks can reach the rest from their argument.
    llhttp_t llhttp
    Head* head              # being filled: the message's, then `trailers`
    Head* trailers
    const char* piece       # the bytes being parsed
    size_t piece_size
    uint32_t method_end     # offset in the head
    bint protocol_seen
    bint line_may_end       # the version was the last thing in the piece before


cdef void parser_init(Parser* parser, int type, const llhttp_settings_t* settings, Head* trailers,
                      void* owner) noexcept
cdef int parser_execute(Parser* parser, const char* data, size_t size) noexcept
cdef void parser_begin(Parser* parser, Head* head, size_t limit) noexcept
cdef void parser_end(Parser* parser) noexcept
cdef void parser_resume(Parser* parser) noexcept
cdef int parser_finish(Parser* parser) noexcept
cdef void parser_settings(llhttp_settings_t* settings) noexcept
