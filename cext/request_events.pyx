"""What a parser says of a request, brought to its downstream. C functions, as llhttp calls them."""

from gateway.cext.admission cimport admit
from gateway.cext.downstream cimport (
    AWAITING,
    DISCARDING,
    EXCHANGING,
    GONE,
    LINGERING,
    NO_EMPTY_LINE,
    READING_HEAD,
    Http1Downstream,
)
from gateway.cext.head cimport head_complete
from gateway.cext.llhttp cimport (
    HPE_INVALID_METHOD,
    HPE_INVALID_VERSION,
    HPE_PAUSED,
    HPE_PAUSED_H2_UPGRADE,
    Llhttp,
    llhttp_functions,
    llhttp_t,
)
from gateway.cext.parser cimport parser_begin, parser_end, parser_settings
from gateway.cext.refusal cimport (
    BAD_REQUEST,
    HEADER_FIELDS_TOO_LARGE,
    NOT_IMPLEMENTED,
    URI_TOO_LONG,
    VERSION_NOT_SUPPORTED,
)
from gateway.cext.response_writer cimport MAX_DISCARD

cdef const Llhttp* LLHTTP = llhttp_functions()
cdef llhttp_settings_t SETTINGS


cdef const llhttp_settings_t* request_settings() noexcept:
    return &SETTINGS


cdef Code parse_error_code(const Parser* parser, int error) noexcept:
    """What llhttp's error means to the client."""
    cdef char at
    cdef const char* error_pos = parser.llhttp.error_pos
    if parser.head != NULL and parser.head.overflow:
        return HEADER_FIELDS_TOO_LARGE if parser.head.count else URI_TOO_LONG
    if error == HPE_INVALID_VERSION or error == HPE_PAUSED_H2_UPGRADE:
        return VERSION_NOT_SUPPORTED
    if error == HPE_INVALID_METHOD:
        # An unknown method in capitals is a method; anything else (TLS, say) is no HTTP.
        at = error_pos[0] if error_pos != NULL else 0
        return NOT_IMPLEMENTED if 65 <= at <= 90 else BAD_REQUEST
    return BAD_REQUEST


cdef int on_message_begin(llhttp_t* llhttp) noexcept:
    cdef Http1Downstream downstream = <Http1Downstream>llhttp.data
    downstream.state = READING_HEAD
    downstream.empty_line = NO_EMPTY_LINE
    downstream.exchange.started_ns = downstream.clock.now_ns
    downstream.head_due_ms = downstream.clock.now_ms + downstream.worker.plan.head_ms
    parser_begin(&downstream.parser, &downstream.exchange.request, downstream.worker.plan.head_limit)
    return 0


cdef int on_headers_complete(llhttp_t* llhttp) noexcept:
    cdef Http1Downstream downstream = <Http1Downstream>llhttp.data
    head_complete(&downstream.exchange.request, downstream.parser.piece)
    # No upgrade is offered: the request is an ordinary one, and nothing behind it goes by unread.
    llhttp.upgrade = 0
    downstream.keep_alive = LLHTTP.should_keep_alive(llhttp)
    downstream.begin_exchange(admit(downstream.exchange, llhttp))
    return -1 if downstream.state == LINGERING else 0


cdef int on_body(llhttp_t* llhttp, const char* at, size_t size) noexcept:
    cdef Http1Downstream downstream = <Http1Downstream>llhttp.data
    if downstream.state == EXCHANGING:
        downstream.exchange.on_request_body(at, size)
    elif downstream.state == DISCARDING:
        downstream.discarded += size
        if downstream.discarded > MAX_DISCARD:
            downstream.linger()
    return -1 if downstream.state == LINGERING or downstream.state == GONE else 0


cdef int on_message_complete(llhttp_t* llhttp) noexcept:
    cdef Http1Downstream downstream = <Http1Downstream>llhttp.data
    parser_end(&downstream.parser)
    if downstream.state == EXCHANGING:
        downstream.exchange.on_request_end()
    elif downstream.state == DISCARDING:
        downstream.state = AWAITING
        downstream.arm(downstream.clock.now_ms + downstream.worker.plan.idle_ms)
    return HPE_PAUSED


parser_settings(&SETTINGS)
SETTINGS.on_message_begin = on_message_begin
SETTINGS.on_headers_complete = on_headers_complete
SETTINGS.on_body = on_body
SETTINGS.on_message_complete = on_message_complete
