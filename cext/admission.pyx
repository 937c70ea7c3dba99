"""The rules of a request head that llhttp does not know: version, framing, target, Host, Expect."""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcmp, memset

from gateway.cext.buffer cimport buffer_put, buffer_reserve
from gateway.cext.framing cimport BODY_INVALID, BODY_NONE, BODY_UNKNOWN_CODING, request_framing
from gateway.cext.field_name cimport FIELD_EXPECT, FIELD_HOST, name_equals
from gateway.cext.head cimport (
    TARGET_ABSOLUTE,
    TARGET_INVALID,
    Head,
    Target,
    find_field,
    head_has,
    parse_host,
    split_target,
)
from gateway.cext.methods cimport METHOD_CONNECT, METHOD_TRACE, Method, method_of
from gateway.cext.native cimport GW_METHOD_HEAD, GW_METHOD_OTHER, GwField
from gateway.cext.refusal cimport (
    BAD_FRAMING,
    BAD_HOST,
    BAD_REQUEST,
    EXPECTATION_FAILED,
    METHOD_NOT_ALLOWED,
    NO_CODE,
    NOT_IMPLEMENTED,
    VERSION_NOT_SUPPORTED,
)

cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char*, const char*, size_t)


cdef Code admit(Exchange exchange, const llhttp_t* parser) noexcept:
    """NO_CODE, or why a request with sound syntax is refused; fills the exchange on the way."""
    cdef Head* head = &exchange.request
    cdef Code code
    exchange.host.size = exchange.authority_size = 0
    exchange.http_minor = parser.http_minor
    exchange.expects_continue = False
    set_method(exchange, method_of(parser.method))
    exchange.request_framing = request_framing(head, parser.http_minor)
    exchange.target = split_target(head.base + head.target_off, head.target_size, head.target_off)
    if parser.http_major != 1 or parser.http_minor > 1:
        exchange.http_minor = 1
        return VERSION_NOT_SUPPORTED
    if exchange.request_framing.kind == BODY_INVALID:
        return BAD_FRAMING
    if exchange.request_framing.kind == BODY_UNKNOWN_CODING:
        return NOT_IMPLEMENTED
    if parser.method == METHOD_CONNECT or parser.method == METHOD_TRACE:
        return METHOD_NOT_ALLOWED
    if exchange.target.form == TARGET_INVALID:
        return BAD_REQUEST
    code = check_host(exchange)
    return check_expect(exchange) if code == NO_CODE else code


cdef void set_method(Exchange exchange, const Method* method) noexcept:
    exchange.method = method.name
    exchange.method_size = method.size
    exchange.method_id = method.metrics_id
    exchange.is_head = method.metrics_id == GW_METHOD_HEAD
    exchange.is_idempotent = method.idempotent


cdef Code check_host(Exchange exchange) noexcept:
    """RFC 9112 section 3.2: one Host in HTTP/1.1; an absolute target must name the same."""
    cdef Head* head = &exchange.request
    cdef bint found = head_has(head, FIELD_HOST)
    cdef const GwField* field
    if (head.repeated >> FIELD_HOST) & 1 or not (found or exchange.http_minor == 0):
        return BAD_HOST
    exchange.authority_size = 0
    if found:
        field = find_field(head, FIELD_HOST)
        exchange.authority_off = field.value_off
        exchange.authority_size = field.value_len
    if exchange.target.form == TARGET_ABSOLUTE:
        if found and not is_same_text(head, &exchange.target, exchange.authority_off,
                                      exchange.authority_size):
            return BAD_HOST
        exchange.authority_off = exchange.target.host_off
        exchange.authority_size = exchange.target.host_size
    elif not found:
        exchange.host.size = 0
        return NO_CODE
    return set_host(exchange)


cdef Code set_host(Exchange exchange) noexcept:
    """Fills `host`. A connection names the same host again and again: it is parsed once."""
    cdef const char* text = exchange.request.base + exchange.authority_off
    cdef uint32_t size = exchange.authority_size
    cdef int64_t length
    if size and size == exchange.known_host.size and memcmp(text, exchange.known_host.data, size) == 0:
        exchange.host.size = exchange.known_host_length
        return NO_CODE
    exchange.known_host.size = exchange.host.size = 0
    buffer_reserve(&exchange.host, size)
    length = parse_host(text, size, exchange.host.data)
    if length < 0:
        return BAD_HOST
    buffer_put(&exchange.known_host, text, size)
    exchange.host.size = exchange.known_host_length = <size_t>length
    return NO_CODE


cdef bint is_same_text(const Head* head, const Target* target, uint32_t off, uint32_t size) noexcept:
    return target.host_size == size and strncasecmp(
        head.base + target.host_off, head.base + off, size) == 0


cdef Code check_expect(Exchange exchange) noexcept:
    """RFC 9110 section 10.1.1: 100-continue is the only expectation; HTTP/1.0 has none."""
    cdef Head* head = &exchange.request
    cdef const GwField* field
    if not head_has(head, FIELD_EXPECT):
        return NO_CODE
    field = find_field(head, FIELD_EXPECT)
    if (head.repeated >> FIELD_EXPECT) & 1 or not name_equals(
            head.base + field.value_off, field.value_len, b"100-continue", 12):
        return EXPECTATION_FAILED
    exchange.expects_continue = exchange.http_minor == 1 and exchange.request_framing.kind != BODY_NONE
    return NO_CODE


cdef void admit_nothing(Exchange exchange) noexcept:
    """For bytes that are no request: what the refusal, the log and the metrics show of it."""
    exchange.method = b"-"
    exchange.method_size = 1
    exchange.method_id = GW_METHOD_OTHER
    exchange.is_head = exchange.expects_continue = exchange.is_idempotent = False
    exchange.http_minor = 1
    exchange.request_framing.kind = BODY_NONE
    exchange.request.count = 0
    exchange.request.seen = 0
    exchange.host.size = exchange.authority_size = 0
    memset(&exchange.target, 0, sizeof(exchange.target))
