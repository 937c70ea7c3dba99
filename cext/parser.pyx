"""Drives llhttp and writes its spans into a Head, without touching a Python object.

llhttp forgives three things in a request line that RFC 9112 does not; the callbacks here refuse them.
"""

from gateway.cext.head cimport (
    head_complete,
    head_keep,
    head_name,
    head_piece,
    head_reset,
    head_target,
    head_value,
)
from gateway.cext.llhttp cimport HPE_CR_EXPECTED, HPE_OK, HPE_USER, MAX_CHUNK, Llhttp, llhttp_functions

cdef const Llhttp* LLHTTP = llhttp_functions()


cdef enum:
    # A trailer section is a handful of checksums; 8 KiB is what Apache allows it.
    MAX_TRAILERS = 8192


cdef void parser_init(Parser* parser, int type, const llhttp_settings_t* settings, Head* trailers,
                      void* owner) noexcept:
    LLHTTP.init(&parser.llhttp, type, settings)
    parser.trailers = trailers
    parser.llhttp.data = owner


cdef int parser_execute(Parser* parser, const char* data, size_t size) noexcept:
    """llhttp's verdict on one piece of the stream (HPE_OK: all of it was taken)."""
    cdef int error
    cdef Head* head = parser.head
    if parser.line_may_end:
        parser.line_may_end = False
        if data[0] == 10:
            return HPE_CR_EXPECTED
    parser.piece = data
    parser.piece_size = size
    if head != NULL and head.open:
        head_piece(head, data, size)
    error = LLHTTP.execute(&parser.llhttp, data, size)
    head = parser.head
    if head != NULL and head.open and error == HPE_OK and not head_keep(head, data, size):
        return HPE_USER
    return error


cdef void parser_begin(Parser* parser, Head* head, size_t limit) noexcept:
    """A message begins: the spans from here on belong to `head`."""
    parser.head = head
    parser.trailers.count = 0
    head_reset(head, limit, parser.piece, parser.piece_size)


cdef void parser_end(Parser* parser) noexcept:
    """A message ends, and with it its trailers, if there are any."""
    if parser.head.open:
        head_complete(parser.head, parser.piece)


cdef void begin_trailers(Parser* parser, const char* at) noexcept:
    """Fields behind the body are another head, which begins somewhere in this piece."""
    cdef size_t before = at - parser.piece
    parser.head = parser.trailers
    head_reset(parser.head, before + MAX_TRAILERS, parser.piece, parser.piece_size)


cdef void parser_resume(Parser* parser) noexcept:
    LLHTTP.resume(&parser.llhttp)


cdef int parser_finish(Parser* parser) noexcept:
    return LLHTTP.finish(&parser.llhttp)


cdef inline uint32_t offset_of(const Parser* parser, const char* at) noexcept:
    return <uint32_t>(at - parser.piece + parser.head.kept.size)


cdef int on_method(llhttp_t* llhttp, const char* at, size_t size) noexcept:
    cdef Parser* parser = <Parser*>llhttp
    parser.method_end = offset_of(parser, at) + <uint32_t>size
    parser.protocol_seen = False
    return 0


cdef int on_url(llhttp_t* llhttp, const char* at, size_t size) noexcept:
    cdef Parser* parser = <Parser*>llhttp
    cdef Head* head = parser.head
    cdef uint32_t offset = offset_of(parser, at)
    if head.target_size == 0 and offset != parser.method_end + 1:
        # One space and no more parts method and target (RFC 9112 section 3).
        return -1
    head_target(head, offset, size)
    return -1 if head.overflow else 0


cdef int on_protocol(llhttp_t* llhttp, const char* at, size_t size) noexcept:
    """llhttp also reads RTSP and ICE, which begin with other letters."""
    cdef Parser* parser = <Parser*>llhttp
    if not parser.protocol_seen:
        parser.protocol_seen = True
        if at[0] != 72:
            return -1
    return 0


cdef int on_version(llhttp_t* llhttp, const char* at, size_t size) noexcept:
    """RFC 9112 section 2.2 lets a lone LF end the line; two readers may then see two requests."""
    cdef Parser* parser = <Parser*>llhttp
    parser.line_may_end = at + size == parser.piece + parser.piece_size
    return -1 if not parser.line_may_end and at[size] == 10 else 0


cdef int on_header_field(llhttp_t* llhttp, const char* at, size_t size) noexcept:
    cdef Parser* parser = <Parser*>llhttp
    if not parser.head.open:
        begin_trailers(parser, at)
    head_name(parser.head, offset_of(parser, at), size)
    return -1 if parser.head.overflow else 0


cdef int on_header_value(llhttp_t* llhttp, const char* at, size_t size) noexcept:
    cdef Parser* parser = <Parser*>llhttp
    head_value(parser.head, offset_of(parser, at), size)
    return -1 if parser.head.overflow else 0


cdef int on_chunk_header(llhttp_t* llhttp) noexcept:
    return -1 if llhttp.content_length > MAX_CHUNK else 0


cdef void parser_settings(llhttp_settings_t* settings) noexcept:
    """The callbacks that both directions share."""
    LLHTTP.settings_init(settings)
    settings.on_method = on_method
    settings.on_url = on_url
    settings.on_protocol = on_protocol
    settings.on_version = on_version
    settings.on_header_field = on_header_field
    settings.on_header_value = on_header_value
    settings.on_chunk_header = on_chunk_header
