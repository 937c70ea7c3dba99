"""The rules of a request head that llhttp does not know: version, framing, target, Host, Expect."""

from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from gateway.cext.buffer cimport buffer_reserve
from gateway.cext.framing cimport BODY_INVALID, BODY_NONE, BODY_UNKNOWN_CODING, request_framing
from gateway.cext.head cimport (
    FIELD_EXPECT,
    FIELD_HOST,
    TARGET_ABSOLUTE,
    TARGET_INVALID,
    Head,
    Target,
    field_value,
    name_equals,
    parse_host,
    split_target,
)
from gateway.cext.methods cimport METHOD_CONNECT, METHOD_TRACE, Method, method_of
from gateway.cext.native cimport GW_METHOD_HEAD, GW_METHOD_OTHER
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
    exchange.http_minor = parser.http_minor
    exchange.expects_continue = False
    set_method(exchange, method_of(parser.method))
    exchange.request_framing = request_framing(head, parser.http_minor)
    exchange.target = split_target(head.arena.data, head.target_size)
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
    cdef uint32_t i, found = 0
    cdef int64_t size
    exchange.host.size = 0
    exchange.authority_size = 0
    for i in range(head.count):
        if head.fields[i].id == FIELD_HOST:
            found += 1
            exchange.authority_off = head.fields[i].value_off
            exchange.authority_size = head.fields[i].value_len
    if found > 1 or (found == 0 and exchange.http_minor == 1):
        return BAD_HOST
    if exchange.target.form == TARGET_ABSOLUTE:
        if found and not is_same_text(head, &exchange.target, exchange.authority_off,
                                              exchange.authority_size):
            return BAD_HOST
        exchange.authority_off = exchange.target.host_off
        exchange.authority_size = exchange.target.host_size
    elif found == 0:
        return NO_CODE
    buffer_reserve(&exchange.host, exchange.authority_size)
    size = parse_host(head.arena.data + exchange.authority_off, exchange.authority_size, exchange.host.data)
    if size < 0:
        return BAD_HOST
    exchange.host.size = <size_t>size
    return NO_CODE


cdef bint is_same_text(const Head* head, const Target* target, uint32_t off, uint32_t size) noexcept:
    return target.host_size == size and strncasecmp(
        head.arena.data + target.host_off, head.arena.data + off, size) == 0


cdef Code check_expect(Exchange exchange) noexcept:
    """RFC 9110 section 10.1.1: 100-continue is the only expectation; HTTP/1.0 has none."""
    cdef Head* head = &exchange.request
    cdef uint32_t i
    for i in range(head.count):
        if head.fields[i].id == FIELD_EXPECT:
            if not name_equals(field_value(head, i), head.fields[i].value_len, b"100-continue", 12):
                return EXPECTATION_FAILED
            exchange.expects_continue = (exchange.http_minor == 1
                                         and exchange.request_framing.kind != BODY_NONE)
    return NO_CODE


cdef void admit_nothing(Exchange exchange) noexcept:
    """For bytes that are no request: what the refusal, the log and the metrics show of it."""
    exchange.method = b"-"
    exchange.method_size = 1
    exchange.method_id = GW_METHOD_OTHER
    exchange.is_head = exchange.expects_continue = exchange.is_idempotent = False
    exchange.http_minor = 1
    exchange.request_framing.kind = BODY_NONE
    exchange.host.size = 0
    memset(&exchange.target, 0, sizeof(exchange.target))
