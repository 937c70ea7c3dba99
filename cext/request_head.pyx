"""Serialises a request anew from what was read: no received byte of a head goes on unread.

Hop-by-hop fields go (RFC 9110 section 7.6.1), fields that only the gateway may set go, whoever sent them, and
what the gateway has to say comes last.
"""

from libc.stdint cimport uint32_t, uint64_t

from gateway.cext.authentication cimport CREDENTIAL_JWT
from gateway.cext.buffer cimport buffer_put, buffer_put_char, buffer_put_text, buffer_put_uint, buffer_reserve
from gateway.cext.clock cimport NEVER
from gateway.cext.framing cimport BODY_CHUNKED, BODY_LENGTH
from gateway.cext.field_name cimport (
    FIELD_API_KEY,
    FIELD_AUTHORIZATION,
    FIELD_CONNECTION,
    FIELD_DATE,
    FIELD_FORWARDED,
    FIELD_FORWARDED_FOR,
    FIELD_FORWARDED_HOST,
    FIELD_FORWARDED_PROTO,
    FIELD_NO_TRAILER,
    FIELD_OTHER,
    FIELD_RATE_LIMIT,
    FIELD_TE,
    FIELD_TRAILER,
    FIELD_VIA,
    name_equals,
)
from gateway.cext.head cimport field_name, field_value, head_end, head_has, token_in_list
from gateway.cext.native cimport GwField

cdef enum:
    # Host, framing, X-Forwarded-*, Via and X-Correlation-ID, generously
    OWN_FIELDS = 512


cdef void write_field(const Head* head, unsigned int index, Buffer* out) noexcept:
    buffer_put(out, field_name(head, index), head.fields[index].name_len)
    buffer_put(out, b": ", 2)
    buffer_put(out, field_value(head, index), head.fields[index].value_len)
    buffer_put(out, b"\r\n", 2)


cdef void copy_field(const Head* head, unsigned int index, Lines* lines, Buffer* out) noexcept:
    """Writes a field, together with its neighbours where their lines stand as we would write them."""
    cdef const GwField* field = &head.fields[index]
    cdef const char* line = head.base + field.name_off
    cdef const char* end = head.base + field.value_off + field.value_len
    if (field.value_off == field.name_off + field.name_len + 2
            and field.value_off + field.value_len + 2 <= head.size
            and line[field.name_len] == 58 and line[field.name_len + 1] == 32
            and end[0] == 13 and end[1] == 10):
        if line != lines.end:
            flush_lines(lines, out)
            lines.start = line
        lines.end = end + 2
    else:
        flush_lines(lines, out)
        write_field(head, index, out)


cdef void flush_lines(Lines* lines, Buffer* out) noexcept:
    buffer_put(out, lines.start, lines.end - lines.start)
    lines.start = lines.end = NULL


cdef void write_request_head(Exchange exchange, Buffer* out, bytes endpoint_authority) noexcept:
    cdef const Head* head = &exchange.request
    cdef bint nominations = has_nominations(head)
    cdef bint wants_trailers = False
    cdef bint bare = exchange.mirror is not None and not exchange.mirror.credentials
    cdef Lines lines = Lines(NULL, NULL)
    cdef uint32_t i, id
    buffer_reserve(out, head_end(head) + OWN_FIELDS)
    write_request_line(exchange, out)
    write_host(exchange, out, endpoint_authority)
    for i in range(head.count):
        id = head.fields[i].id
        if (id == FIELD_OTHER or id == FIELD_NO_TRAILER or id == FIELD_VIA or id == FIELD_DATE
                or id == FIELD_RATE_LIMIT):
            if (not nominations or not is_nominated(head, i)) and not (bare and is_cookie(head, i)):
                copy_field(head, i, &lines, out)
        elif id == FIELD_TRAILER:
            if exchange.request_framing.kind == BODY_CHUNKED:
                copy_field(head, i, &lines, out)
        elif id == FIELD_AUTHORIZATION or id == FIELD_API_KEY:
            if not bare and passes_credential(exchange, id) and not (nominations and is_nominated(head, i)):
                copy_field(head, i, &lines, out)
        elif id == FIELD_TE:
            wants_trailers = token_in_list(field_value(head, i), head.fields[i].value_len, b"trailers", 8)
        elif id == FIELD_FORWARDED or id == FIELD_FORWARDED_PROTO or id == FIELD_FORWARDED_HOST:
            if exchange.trusted:
                copy_field(head, i, &lines, out)
    flush_lines(&lines, out)
    if wants_trailers:
        # TE is a matter of each hop; we pass trailers on, so we may ask for them.
        buffer_put_text(out, b"TE: trailers\r\nConnection: TE\r\n")
    write_framing(exchange, out)
    write_own_fields(exchange, out)
    buffer_put(out, b"\r\n", 2)


cdef bint is_cookie(const Head* head, unsigned int index) noexcept:
    return name_equals(field_name(head, index), head.fields[index].name_len, b"cookie", 6)


cdef bint passes_credential(Exchange exchange, uint32_t id) noexcept:
    """Whether the service sees a credential. What the gateway has not looked at is none of its business; a
    token that it has verified is good there, too; an API key is its own and lives too long to be handed on.
    """
    if exchange.principal is None:
        return True
    return id == FIELD_AUTHORIZATION and exchange.principal.kind == CREDENTIAL_JWT and (
        exchange.route.forwards_token)


cdef void write_request_line(Exchange exchange, Buffer* out) noexcept:
    buffer_put(out, exchange.method, exchange.method_size)
    buffer_put_char(out, 32)
    buffer_put(out, exchange.upstream_path.data, exchange.upstream_path.size)
    if exchange.target.has_query:
        buffer_put_char(out, 63)
        buffer_put(out, exchange.request.base + exchange.target.query_off, exchange.target.query_size)
    buffer_put_text(out, b" HTTP/1.1\r\n")


cdef void write_host(Exchange exchange, Buffer* out, bytes endpoint_authority) noexcept:
    cdef bytes host = exchange.service.host
    buffer_put_text(out, b"Host: ")
    if host is not None:
        buffer_put(out, host, len(host))
    elif exchange.authority_size:
        buffer_put(out, exchange.request.base + exchange.authority_off, exchange.authority_size)
    else:
        buffer_put(out, endpoint_authority, len(endpoint_authority))
    buffer_put(out, b"\r\n", 2)


cdef void write_framing(Exchange exchange, Buffer* out) noexcept:
    if exchange.request_framing.kind == BODY_LENGTH:
        buffer_put_text(out, b"Content-Length: ")
        buffer_put_uint(out, exchange.request_framing.length)
        buffer_put(out, b"\r\n", 2)
    elif exchange.request_framing.kind == BODY_CHUNKED:
        buffer_put_text(out, b"Transfer-Encoding: chunked\r\n")
    if exchange.expects_continue:
        buffer_put_text(out, b"Expect: 100-continue\r\n")


cdef void write_own_fields(Exchange exchange, Buffer* out) noexcept:
    cdef bint has_proto = False, has_host = False
    buffer_put_text(out, b"X-Forwarded-For: ")
    if exchange.trusted:
        has_proto = head_has(&exchange.request, FIELD_FORWARDED_PROTO)
        has_host = head_has(&exchange.request, FIELD_FORWARDED_HOST)
        write_forwarded_for(&exchange.request, out)
    buffer_put_text(out, exchange.peer)
    if not has_proto:
        buffer_put_text(out, b"\r\nX-Forwarded-Proto: ")
        buffer_put_text(out, exchange.scheme)
    if not has_host and exchange.authority_size:
        buffer_put_text(out, b"\r\nX-Forwarded-Host: ")
        buffer_put(out, exchange.request.base + exchange.authority_off, exchange.authority_size)
    buffer_put_text(out, b"\r\nVia: 1.")
    buffer_put_char(out, <char>(48 + exchange.http_minor))
    buffer_put_text(out, b" gateway\r\nX-Correlation-ID: ")
    buffer_put(out, exchange.correlation_id, exchange.correlation_size)
    buffer_put(out, b"\r\n", 2)
    if exchange.principal is not None:
        buffer_put(out, exchange.principal.fields, len(exchange.principal.fields))
    if exchange.mirror is not None:
        buffer_put_text(out, b"X-Gateway-Mirror: 1\r\n")
    if exchange.total_ms != NEVER:
        write_time_left(exchange, out)


cdef void write_time_left(Exchange exchange, Buffer* out) noexcept:
    """Until the total timeout: a service need not work for an answer that nobody waits for."""
    cdef uint64_t now_ms = exchange.worker.clock.now_ms
    buffer_put_text(out, b"X-Request-Timeout-Ms: ")
    buffer_put_uint(out, exchange.total_ms - now_ms if exchange.total_ms > now_ms else 0)
    buffer_put(out, b"\r\n", 2)


cdef void write_forwarded_for(const Head* head, Buffer* out) noexcept:
    """What a trusted proxy says of the way so far, as one list."""
    cdef uint32_t i
    for i in range(head.count):
        if head.fields[i].id == FIELD_FORWARDED_FOR and head.fields[i].value_len:
            buffer_put(out, field_value(head, i), head.fields[i].value_len)
            buffer_put(out, b", ", 2)


cdef void write_trailers(const Head* trailers, Buffer* out) noexcept:
    """Trailer fields that stay metadata: nothing that frames, routes or authenticates (section 6.5.1)."""
    cdef uint32_t i
    for i in range(trailers.count):
        if trailers.fields[i].id == FIELD_OTHER:
            write_field(trailers, i, out)


cdef bint has_nominations(const Head* head) noexcept:
    """Whether a Connection field names anything but the usual options."""
    cdef uint32_t i
    if not head_has(head, FIELD_CONNECTION):
        return False
    for i in range(head.count):
        if head.fields[i].id == FIELD_CONNECTION:
            if not is_usual(field_value(head, i), head.fields[i].value_len):
                return True
    return False


cdef bint is_usual(const char* value, size_t size) noexcept:
    return (size == 0 or name_equals(value, size, b"keep-alive", 10) or name_equals(value, size, b"close", 5)
            or name_equals(value, size, b"upgrade", 7))


cdef bint is_nominated(const Head* head, unsigned int index) noexcept:
    """Whether a Connection field names this one, which then belongs to the hop behind us."""
    cdef uint32_t i, size = head.fields[index].name_len
    cdef const char* name = field_name(head, index)
    for i in range(head.count):
        if head.fields[i].id == FIELD_CONNECTION:
            if token_in_list(field_value(head, i), head.fields[i].value_len, name, size):
                return True
    return False
