"""Serialises a response anew: hop-by-hop fields go, framing and correlation id are the gateway's."""

from libc.stdint cimport uint32_t
from gateway.cext.buffer cimport buffer_put, buffer_put_char, buffer_put_text, buffer_put_uint
from gateway.cext.framing cimport BODY_LENGTH, BODY_NONE
from gateway.cext.field_name cimport (
    FIELD_CONNECTION,
    FIELD_CONTENT_LENGTH,
    FIELD_CORRELATION_ID,
    FIELD_DATE,
    FIELD_HOP,
    FIELD_RATE_LIMIT,
    FIELD_TE,
    FIELD_TRAILER,
    FIELD_TRANSFER_ENCODING,
)
from gateway.cext.head cimport head_has
from gateway.cext.refusal cimport reason_phrase
from gateway.cext.request_head cimport (
    Lines,
    copy_field,
    flush_lines,
    has_nominations,
    is_nominated,
    write_field,
)

cdef enum:
    DATE_BYTES = 29     # IMF-fixdate (RFC 9110 section 5.6.7)


cdef void write_status_line(int status, Buffer* out) noexcept:
    if status == 200:
        buffer_put(out, b"HTTP/1.1 200 OK\r\n", 17)
        return
    buffer_put(out, b"HTTP/1.1 ", 9)
    buffer_put_uint(out, <uint32_t>status)
    buffer_put_char(out, 32)
    buffer_put_text(out, reason_phrase(status))
    buffer_put(out, b"\r\n", 2)


cdef void write_response_head(Exchange exchange, const Head* head, Persistence persistence, bint chunked,
                              const char* date, Buffer* out) noexcept:
    cdef bint nominations = has_nominations(head)
    cdef bint has_date = head_has(head, FIELD_DATE)
    cdef Lines lines = Lines(NULL, NULL)
    cdef uint32_t i, id
    write_status_line(exchange.status, out)
    for i in range(head.count):
        id = head.fields[i].id
        if id == FIELD_HOP or id == FIELD_CONNECTION or id == FIELD_TRANSFER_ENCODING or id == FIELD_TE:
            continue
        if id == FIELD_CORRELATION_ID or (id == FIELD_RATE_LIMIT and exchange.tells_limits):
            continue
        if id == FIELD_CONTENT_LENGTH:
            if not describes_absent_body(exchange):
                continue
        elif id == FIELD_TRAILER:
            if not chunked:
                continue
        elif nominations and is_nominated(head, i):
            continue
        copy_field(head, i, &lines, out)
    flush_lines(&lines, out)
    if exchange.response_framing.kind == BODY_LENGTH:
        write_length(exchange.response_framing.length, out)
    elif chunked:
        buffer_put_text(out, b"Transfer-Encoding: chunked\r\n")
    write_own_fields(exchange, persistence, NULL if has_date else date, out)


cdef bint describes_absent_body(Exchange exchange) noexcept:
    """Content-Length of a HEAD's answer or a 304; in a 204 it is illegal (RFC 9110 section 8.6)."""
    return exchange.response_framing.kind == BODY_NONE and exchange.status != 204


cdef void write_answer_head(Exchange exchange, const Buffer* fields, size_t body_size,
                            Persistence persistence, const char* date, Buffer* out) noexcept:
    write_status_line(exchange.status, out)
    buffer_put(out, fields.data, fields.size)
    write_length(body_size, out)
    write_own_fields(exchange, persistence, date, out)


cdef void write_interim_head(int status, const Head* head, Buffer* out) noexcept:
    cdef uint32_t i, id
    write_status_line(status, out)
    for i in range(head.count):
        id = head.fields[i].id
        if not (id == FIELD_HOP or id == FIELD_CONNECTION or id == FIELD_TRANSFER_ENCODING
                or id == FIELD_CONTENT_LENGTH or id == FIELD_TE or id == FIELD_CORRELATION_ID):
            write_field(head, i, out)
    buffer_put(out, b"\r\n", 2)


cdef void write_own_fields(Exchange exchange, Persistence persistence, const char* date,
                           Buffer* out) noexcept:
    """What every answer carries, and the end of the head."""
    if date != NULL:
        buffer_put(out, b"Date: ", 6)
        buffer_put(out, date, DATE_BYTES)
        buffer_put(out, b"\r\n", 2)
    if persistence == CLOSE:
        buffer_put_text(out, b"Connection: close\r\n")
    elif persistence == PERSIST_HTTP10:
        buffer_put_text(out, b"Connection: keep-alive\r\n")
    buffer_put(out, exchange.answer_fields.data, exchange.answer_fields.size)
    buffer_put(out, b"X-Correlation-ID: ", 18)
    buffer_put(out, exchange.correlation_id, exchange.correlation_size)
    buffer_put(out, b"\r\n\r\n", 4)


cdef void write_length(size_t length, Buffer* out) noexcept:
    buffer_put(out, b"Content-Length: ", 16)
    buffer_put_uint(out, length)
    buffer_put(out, b"\r\n", 2)
