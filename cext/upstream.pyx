"""HTTP/1.1 towards a service: writes request heads, parses responses, hands bodies over as they come."""

from libc.errno cimport ECONNRESET
from libc.stdint cimport uint64_t

from gateway.cext.buffer cimport buffer_trim
from gateway.cext.chunked cimport write_chunk, write_last_chunk
from gateway.cext.clock cimport NEVER
from gateway.cext.framing cimport (
    BODY_CHUNKED,
    BODY_INVALID,
    BODY_NONE,
    BODY_UNTIL_CLOSE,
    response_framing,
)
from gateway.cext.head cimport head_complete, head_free
from gateway.cext.llhttp cimport (
    F_CONNECTION_CLOSE,
    F_CONNECTION_KEEP_ALIVE,
    HPE_OK,
    HPE_PAUSED,
    HTTP_RESPONSE,
    llhttp_settings_t,
    llhttp_t,
)
from gateway.cext.native cimport GW_UPSTREAM_RESETS_TOTAL
from gateway.cext.parser cimport (
    parser_begin,
    parser_end,
    parser_execute,
    parser_finish,
    parser_init,
    parser_resume,
    parser_settings,
)
from gateway.cext.pool cimport CLOSED, DIALING, IDLE
from gateway.cext.refusal cimport (
    UPSTREAM_CONNECT_FAILED,
    UPSTREAM_CONNECT_TIMEOUT,
    UPSTREAM_PROTOCOL_ERROR,
    UPSTREAM_RESET,
    UPSTREAM_TIMEOUT,
)
from gateway.cext.request_head cimport write_request_head
from gateway.cext.wire cimport Wire

cdef enum:
    # A response head is the service's, not a stranger's: roomier than the client's, still bounded.
    MAX_RESPONSE_HEAD = 65536
    MAX_INTERIM = 16
    MAX_REASON = 512
    # Buffers of a connection at rest shrink to this.
    RESTING_BYTES = 16384

    # What on_headers_complete returns to say that no body follows
    NO_BODY = 1

cdef llhttp_settings_t SETTINGS


cdef class Http1Upstream(Upstream):
    def __cinit__(self, Pool pool):
        self.pool = pool
        self.state = DIALING
        self.start_timer(pool.worker.clock)
        self.arm_after(pool.connect_ms)
        parser_init(&self.parser, HTTP_RESPONSE, &SETTINGS, &self.trailers, <void*>self)

    def __dealloc__(self):
        head_free(&self.head)
        head_free(&self.trailers)

    # --- the socket -------------------------------------------------------------------------------

    cdef void dial(self, list addresses) noexcept:
        """Tries the addresses in turn, within one timeout, until one connects; its pool hears of it."""
        self.addresses = addresses[1:]
        self.wire = Wire()
        self.wire.keeps_reading = True
        self.wire.dial(self.pool.worker.poller, addresses[0], self)

    cdef void dialed(self, int error) noexcept:
        if error == 0:
            self.pool.dialed(self)
        elif self.addresses:
            self.dial(self.addresses)
        else:
            self.dial_failed(UPSTREAM_RESET if error == ECONNRESET else UPSTREAM_CONNECT_FAILED)

    cdef void dial_failed(self, Code code) noexcept:
        self.abort()
        self.state = CLOSED
        self.pool.dial_failed(code)

    cdef void data_received(self, const char* data, size_t size) noexcept:
        cdef Exchange exchange = self.exchange
        cdef int error
        if exchange is None:
            # Nobody asked: the connection is out of step and can serve no one.
            self.abort()
            return
        self.clock.read()
        self.got_bytes = True
        if self.head_done:
            self.arm_after(self.pool.stream_idle_ms)
        error = parser_execute(&self.parser, data, size)
        if self.exchange is None:
            return
        if error == HPE_PAUSED and self.message_done:
            self.complete(size - (self.parser.llhttp.error_pos - data))
        elif error == HPE_OK:
            exchange.downstream.flush()
        else:
            self.read_failed(UPSTREAM_PROTOCOL_ERROR)

    cdef void eof_received(self) noexcept:
        cdef Exchange exchange = self.exchange
        self.clock.read()
        if exchange is not None:
            parser_finish(&self.parser)
            if self.message_done:
                self.keep_alive = False
                self.complete(0)
            else:
                self.read_failed(UPSTREAM_RESET)
        else:
            self.abort()

    cdef void connection_lost(self) noexcept:
        self.pool.worker.clock.read()
        self.stop_timer()
        self.pool.forget(self)
        if self.exchange is not None:
            self.read_failed(UPSTREAM_RESET)

    cdef void pause_writing(self) noexcept:
        self.write_paused = True
        if self.exchange is not None:
            self.exchange.downstream.pause_request()

    cdef void resume_writing(self) noexcept:
        self.write_paused = False
        if self.exchange is not None:
            self.exchange.downstream.resume_request()

    cdef void on_deadline(self):
        if self.state == DIALING:
            self.dial_failed(UPSTREAM_CONNECT_TIMEOUT)
        elif self.state == IDLE:
            self.abort()
        elif self.exchange is not None:
            self.read_failed(UPSTREAM_TIMEOUT)

    cdef bint is_open(self) noexcept:
        return self.wire is not None and self.wire.is_open()

    cdef void rest(self, uint64_t idle_ms) noexcept:
        """Idle from here on."""
        self.resume_response()
        buffer_trim(&self.wire.out, RESTING_BYTES)
        self.head.kept.size = 0
        buffer_trim(&self.head.kept, RESTING_BYTES)
        self.arm_after(idle_ms)

    cdef void read_failed(self, Code code) noexcept:
        cdef Exchange exchange = self.exchange
        cdef bint replayable = self.reused and not self.got_bytes and code == UPSTREAM_RESET
        self.exchange = None
        if code == UPSTREAM_RESET:
            self.pool.count(GW_UPSTREAM_RESETS_TOTAL)
        self.abort()
        if exchange is not None:
            exchange.on_upstream_failed(code, replayable)

    cdef void complete(self, size_t leftover) noexcept:
        """The response is whole. `leftover` bytes behind it belong to nobody: no reuse then."""
        cdef Exchange exchange = self.exchange
        cdef const Head* trailers = &self.trailers if self.trailers.count else NULL
        self.exchange = None
        exchange.upstream = None
        self.flush()
        if (self.keep_alive and leftover == 0 and exchange.request_complete and not self.wire.broken
                and self.wire.unsent() == 0):
            parser_resume(&self.parser)
            self.reused = True
            self.resume_response()
            self.pool.release(self)
        else:
            self.abort()
        exchange.on_response_end(trailers)

    # --- what an exchange asks of us ------------------------------------------------------------------

    cdef void send_head(self, Exchange exchange) noexcept:
        cdef uint64_t limit_ms
        self.sends_chunks = exchange.request_framing.kind == BODY_CHUNKED
        self.got_bytes = self.head_done = self.message_done = False
        self.interim_count = 0
        write_request_head(exchange, &self.wire.out, self.pool.authority)
        limit_ms = self.pool.response_ms if exchange.request_complete else self.pool.stream_idle_ms
        self.arm_after(limit_ms)

    cdef void send_body(self, const char* data, size_t size) noexcept:
        if self.sends_chunks:
            write_chunk(self.wire, data, size)
        else:
            self.wire.write(data, size)
        if not self.reading_paused:
            self.arm_after(self.pool.stream_idle_ms)

    cdef void send_end(self, Exchange exchange) noexcept:
        if self.sends_chunks:
            write_last_chunk(self.wire, &exchange.trailers)
        if not self.reading_paused:
            self.arm_after(self.pool.stream_idle_ms if self.head_done else self.pool.response_ms)

    cdef void flush(self) noexcept:
        self.wire.flush()

    cdef void pause_response(self) noexcept:
        if not self.reading_paused and self.wire.is_open():
            self.reading_paused = True
            self.arm(NEVER)
            self.wire.pause_reading()

    cdef void resume_response(self) noexcept:
        if self.reading_paused:
            self.reading_paused = False
            if self.wire.is_open():
                self.wire.resume_reading()
                self.arm_after(self.pool.stream_idle_ms if self.head_done else self.pool.response_ms)

    cdef void abort(self) noexcept:
        self.stop_timer()
        if self.wire is not None:
            self.wire.abort()
        self.pool.forget(self)


# --- the parser's callbacks --------------------------------------------------------------------------

cdef int on_message_begin(llhttp_t* llhttp) noexcept:
    cdef Http1Upstream upstream = <Http1Upstream>llhttp.data
    parser_begin(&upstream.parser, &upstream.head, MAX_RESPONSE_HEAD)
    upstream.reason_size = 0
    return 0


cdef int on_status(llhttp_t* llhttp, const char* at, size_t size) noexcept:
    """The reason phrase is not forwarded, but it is bounded."""
    cdef Http1Upstream upstream = <Http1Upstream>llhttp.data
    upstream.reason_size += size
    return -1 if upstream.reason_size > MAX_REASON else 0


cdef int on_headers_complete(llhttp_t* llhttp) noexcept:
    cdef Http1Upstream upstream = <Http1Upstream>llhttp.data
    cdef Exchange exchange = upstream.exchange
    cdef int status = llhttp.status_code
    if exchange is None or llhttp.http_major != 1 or status < 100 or status > 599 or status == 101:
        # 101 answers an Upgrade, and none was forwarded.
        return -1
    head_complete(&upstream.head, upstream.parser.piece)
    upstream.framing = response_framing(&upstream.head, status, exchange.is_head, llhttp.http_minor)
    if upstream.framing.kind == BODY_INVALID:
        return -1
    if status < 200:
        upstream.interim_count += 1
        if upstream.interim_count > MAX_INTERIM or llhttp.http_minor == 0:
            return -1
        # Only the final response says whether the connection stays.
        llhttp.flags &= ~F_CONNECTION_CLOSE
        exchange.on_interim(status, &upstream.head)
        return NO_BODY
    upstream.head_done = True
    upstream.keep_alive = upstream.framing.kind != BODY_UNTIL_CLOSE and is_persistent(llhttp)
    upstream.arm_after(upstream.pool.stream_idle_ms)
    exchange.on_response_head(status, &upstream.head, upstream.framing)
    return NO_BODY if upstream.framing.kind == BODY_NONE else 0


cdef bint is_persistent(const llhttp_t* llhttp) noexcept:
    """RFC 9112 section 9.3. (llhttp's own verdict does not know yet that a HEAD's answer has no body.)"""
    if llhttp.http_minor:
        return not llhttp.flags & F_CONNECTION_CLOSE
    return (llhttp.flags & F_CONNECTION_KEEP_ALIVE) != 0


cdef int on_body(llhttp_t* llhttp, const char* at, size_t size) noexcept:
    cdef Http1Upstream upstream = <Http1Upstream>llhttp.data
    if upstream.exchange is None:
        return -1
    upstream.exchange.on_response_body(at, size)
    return -1 if upstream.exchange is None else 0


cdef int on_message_complete(llhttp_t* llhttp) noexcept:
    cdef Http1Upstream upstream = <Http1Upstream>llhttp.data
    if not upstream.head_done:
        return 0
    parser_end(&upstream.parser)
    upstream.message_done = True
    return HPE_PAUSED


parser_settings(&SETTINGS)
SETTINGS.on_message_begin = on_message_begin
SETTINGS.on_status = on_status
SETTINGS.on_headers_complete = on_headers_complete
SETTINGS.on_body = on_body
SETTINGS.on_message_complete = on_message_complete
