"""Formats access log lines in C: no Python object for each request.

Values that come from outside are escaped so that a line stays one line of JSON whatever they hold: quotes,
backslashes, control characters, and every byte above ASCII.
"""

from gateway.cext.buffer cimport buffer_free, buffer_put, buffer_put_char, buffer_put_text, buffer_put_uint
from gateway.cext.hedging cimport HEDGE_FAILED, HEDGE_WON, NO_HEDGE
from gateway.cext.principal cimport Principal
from gateway.cext.refusal cimport NO_CODE, refusal
from gateway.cext.service cimport Service

cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    struct tm:
        pass
    tm* gmtime_r(const time_t*, tm*)
    size_t strftime(char*, size_t, const char*, const tm*)

cdef enum:
    FLUSH_BYTES = 65536
    # A path may be as long as the head limit; a log line need not be.
    MAX_LOGGED_PATH = 2048
    NS_PER_S = 1000000000


cdef bytes NULL_TEXT = b"null"


cdef class AccessLog:
    def __init__(self, sink):
        self.sink = sink

    def __dealloc__(self):
        buffer_free(&self.lines)

    cdef void flush(self) noexcept:
        if self.lines.size:
            batch = self.lines.data[:self.lines.size]
            self.lines.size = 0
            self.sink(batch)

    cdef void write(self, Exchange exchange, uint64_t wall_ns, uint64_t duration_ns) noexcept:
        cdef Buffer* out = &self.lines
        buffer_put_text(out, b'{"time":"')
        self.write_time(wall_ns)
        buffer_put_text(out, b'","client":"')
        buffer_put_text(out, exchange.peer)
        buffer_put_text(out, b'","method":"')
        buffer_put(out, exchange.method, exchange.method_size)
        buffer_put_text(out, b'","host":"')
        put_escaped(out, exchange.host.data, exchange.host.size)
        buffer_put_text(out, b'","path":"')
        put_escaped(out, exchange.path.data, min_size(exchange.path.size, MAX_LOGGED_PATH))
        buffer_put_text(out, b'","route":')
        buffer_put(out, <const char*>exchange.route.log_path, len(exchange.route.log_path))
        buffer_put_text(out, b',"service":')
        put_service(out, exchange)
        put_caller(out, exchange.principal)
        buffer_put_text(out, b',"upstream":')
        put_upstream(out, exchange)
        buffer_put_text(out, b',"status":')
        buffer_put_uint(out, <uint64_t>exchange.status)
        buffer_put_text(out, b',"code":')
        put_code(out, exchange)
        if exchange.hedged != NO_HEDGE:
            put_hedge(out, exchange.hedged)
        buffer_put_text(out, b',"duration_us":')
        buffer_put_uint(out, duration_ns // 1000)
        buffer_put_text(out, b',"request_bytes":')
        buffer_put_uint(out, exchange.body_received)
        buffer_put_text(out, b',"response_bytes":')
        buffer_put_uint(out, exchange.body_sent)
        buffer_put_text(out, b',"correlation_id":"')
        buffer_put(out, exchange.correlation_id, exchange.correlation_size)
        buffer_put_text(out, b'"}\n')
        if out.size >= FLUSH_BYTES:
            self.flush()

    cdef void write_time(self, uint64_t wall_ns) noexcept:
        """RFC 3339, UTC, milliseconds."""
        cdef time_t second = <time_t>(wall_ns // NS_PER_S)
        cdef uint64_t ms = wall_ns % NS_PER_S // 1000000
        cdef tm parts
        if <uint64_t>second != self.second:
            self.second = <uint64_t>second
            gmtime_r(&second, &parts)
            strftime(self.timestamp, sizeof(self.timestamp), b"%Y-%m-%dT%H:%M:%S", &parts)
        buffer_put(&self.lines, self.timestamp, 19)
        buffer_put_char(&self.lines, 46)
        buffer_put_char(&self.lines, <char>(48 + ms // 100))
        buffer_put_char(&self.lines, <char>(48 + ms // 10 % 10))
        buffer_put_char(&self.lines, <char>(48 + ms % 10))
        buffer_put_char(&self.lines, 90)


cdef void put_caller(Buffer* out, Principal principal) noexcept:
    buffer_put_text(out, b',"user":')
    put_bytes(out, NULL_TEXT if principal is None else principal.log_user)
    buffer_put_text(out, b',"app":')
    put_bytes(out, NULL_TEXT if principal is None else principal.log_client)


cdef inline void put_bytes(Buffer* out, bytes text) noexcept:
    buffer_put(out, text, len(text))


cdef void put_service(Buffer* out, Exchange exchange) noexcept:
    """The one that was asked last; before that, the route's."""
    cdef Service service = exchange.route.service if exchange.service is None else exchange.service
    if service is None:
        buffer_put_text(out, b"null")
    else:
        buffer_put(out, <const char*>service.log_name, len(service.log_name))


cdef void put_upstream(Buffer* out, Exchange exchange) noexcept:
    """The endpoint that was chosen, or null."""
    if exchange.pool is None:
        buffer_put_text(out, b"null")
    else:
        buffer_put(out, <const char*>exchange.pool.log_url, len(exchange.pool.log_url))


cdef void put_hedge(Buffer* out, int outcome) noexcept:
    if outcome == HEDGE_WON:
        buffer_put_text(out, b',"hedge":"won"')
    elif outcome == HEDGE_FAILED:
        buffer_put_text(out, b',"hedge":"failed"')
    else:
        buffer_put_text(out, b',"hedge":"lost"')


cdef void put_code(Buffer* out, Exchange exchange) noexcept:
    """The refusal's code; `client_closed` when the client went before there was an answer."""
    if exchange.error != NO_CODE:
        buffer_put_char(out, 34)
        buffer_put_text(out, refusal(exchange.error).code)
        buffer_put_char(out, 34)
    elif not exchange.response_complete:
        buffer_put_text(out, b'"client_closed"')
    else:
        buffer_put_text(out, b"null")


cdef void put_escaped(Buffer* out, const char* text, size_t size) noexcept:
    cdef const char* digits = b"0123456789abcdef"
    cdef size_t i
    cdef unsigned char byte
    for i in range(size):
        byte = <unsigned char>text[i]
        if byte == 34 or byte == 92:
            buffer_put_char(out, 92)
            buffer_put_char(out, <char>byte)
        elif byte < 32 or byte > 126:
            buffer_put_text(out, b"\\u00")
            buffer_put_char(out, digits[byte >> 4])
            buffer_put_char(out, digits[byte & 15])
        else:
            buffer_put_char(out, <char>byte)


cdef inline size_t min_size(size_t a, size_t b) noexcept:
    return a if a < b else b
