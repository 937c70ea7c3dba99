"""HTTP/1.x towards a client: parses requests, one exchange at a time, answers in order.

    AWAITING -> READING_HEAD -> EXCHANGING -> AWAITING ...
                                          `-> DISCARDING -> AWAITING
                     any of them, on error  -> LINGERING -> GONE

The parser is paused at the end of each request, so the bytes of a pipelined one stay unread until the
answer before it has gone out.
"""

from gateway.cext.address cimport name_peer, sockaddr
from gateway.cext.admission cimport admit_nothing
from gateway.cext.buffer cimport buffer_free, buffer_put
from gateway.cext.exchange cimport Exchange
from gateway.cext.framing cimport BODY_UNTIL_CLOSE
from gateway.cext.head cimport head_own
from gateway.cext.hedge cimport relies_on_hedge
from gateway.cext.llhttp cimport HPE_OK, HPE_PAUSED, HTTP_REQUEST
from gateway.cext.parser cimport parser_execute, parser_init, parser_resume
from gateway.cext.refusal cimport (
    BAD_FRAMING,
    BAD_REQUEST,
    CONNECTION_LIMIT,
    NO_CODE,
    REQUEST_TIMEOUT,
)
from gateway.cext.request_events cimport parse_error_code, request_settings
from gateway.cext.wire cimport Wire
from gateway.cext.worker cimport Worker

cdef enum:
    # Pipelined bytes kept while an answer is on its way; beyond it the client waits in its own buffers.
    MAX_PENDING = 65536
    # A closed connection is read for this long before it is dropped.
    LINGER_MS = 2000
    # A body slower than this over a whole body_timeout is a slow-sender attack (Kestrel's default rate).
    MIN_BODY_RATE = 240
    # How long a drain leaves a connection that has not sent its first request yet.
    FIRST_REQUEST_MS = 1000


cdef class Http1Downstream(ResponseWriter):
    def __cinit__(self, Worker worker):
        self.worker = worker
        self.wire = Wire()
        self.exchange = Exchange(worker, self)
        self.wire.total = &worker.bytes_sent
        self.exchange.scheme = b"http"
        self.state = AWAITING
        self.keep_alive = True
        parser_init(&self.parser, HTTP_REQUEST, request_settings(), &self.exchange.trailers, <void*>self)

    def __dealloc__(self):
        buffer_free(&self.pending)

    # --- the socket -------------------------------------------------------------------------------

    cdef void open(self, int fd, const sockaddr* peer) noexcept:
        """Takes an accepted socket."""
        self.wire.open(self.worker.poller, fd, self)
        self.start_timer(self.worker.clock)
        self.clock.read()
        name_peer(peer, self.exchange.peer_address, self.exchange.peer, sizeof(self.exchange.peer))
        self.worker.connected(self)
        if self.worker.connections > self.worker.plan.connection_limit:
            self.worker.connections_refused += 1
            self.reject(CONNECTION_LIMIT)
        else:
            self.arm(self.clock.now_ms + self.worker.plan.idle_ms)

    cdef void data_received(self, const char* data, size_t size) noexcept:
        self.clock.read()
        self.worker.bytes_received += size
        if self.state == LINGERING:
            return
        if self.pending.size or self.is_busy():
            buffer_put(&self.pending, data, size)
            if self.pending.size > MAX_PENDING:
                self.stop_reading(STOP_PIPELINE)
        else:
            self.feed(data, size)
            self.after_event()

    cdef void eof_received(self) noexcept:
        """A half-closed client still gets its answers (RFC 9112 section 9.6); nothing else is waited for."""
        self.eof = True
        self.clock.read()
        if self.state == LINGERING or self.state == DISCARDING:
            self.end()
        elif self.state == EXCHANGING and not self.exchange.request_complete:
            self.keep_alive = False
            self.exchange.refuse(BAD_REQUEST)
        elif self.state != EXCHANGING:
            self.after_event()

    cdef void connection_lost(self) noexcept:
        self.state = GONE
        self.stop_timer()
        self.clock.read()
        self.exchange.on_downstream_lost()
        self.worker.disconnected(self)

    cdef void pause_writing(self) noexcept:
        self.write_paused = True
        self.taken_mark = self.wire.taken()
        if self.exchange.upstream is not None:
            self.exchange.upstream.pause_response()
        if self.state == EXCHANGING:
            self.arm_exchange()
        else:
            self.arm_after(self.worker.plan.body_ms)

    cdef void resume_writing(self) noexcept:
        self.write_paused = False
        self.clock.read()
        if self.exchange.upstream is not None:
            self.exchange.upstream.resume_response()
        if self.state == EXCHANGING:
            self.arm_exchange()
        elif self.state == AWAITING:
            self.next_request()

    cdef void on_deadline(self):
        cdef Exchange exchange = self.exchange
        if self.state == READING_HEAD:
            self.reject(REQUEST_TIMEOUT)
            self.after_event()
        elif self.state == EXCHANGING:
            if self.clock.now_ms >= exchange.deadline_ms:
                if not relies_on_hedge(exchange):
                    exchange.refuse(exchange.deadline_code)
            elif self.write_paused and self.is_write_stalled():
                self.wire.abort()
            elif not exchange.request_complete and self.read_stops == 0 and self.is_body_slow():
                self.keep_alive = False
                exchange.refuse(REQUEST_TIMEOUT)
            else:
                self.arm_exchange()
        elif self.state == DISCARDING:
            self.linger()
        elif self.wire.unsent() and not self.is_write_stalled():
            # Slow, but taking: an answer that has been written is not cut.
            self.arm_after(self.worker.plan.body_ms)
        else:
            self.wire.abort()

    cdef bint is_write_stalled(self) noexcept:
        """Whether the client has taken nothing since the last look."""
        cdef uint64_t taken = self.wire.taken()
        cdef bint stalled = taken == self.taken_mark
        self.taken_mark = taken
        return stalled

    cdef bint is_body_slow(self) noexcept:
        cdef uint64_t received = self.exchange.body_received - self.body_mark
        if self.exchange.expects_continue and self.exchange.body_received == 0:
            # It waits for the service's leave, which has a deadline of its own.
            return False
        self.body_mark = self.exchange.body_received
        return received < MIN_BODY_RATE * self.worker.plan.body_ms // 1000

    # --- requests ---------------------------------------------------------------------------------

    cdef bint is_busy(self) noexcept:
        """Whether what arrives now belongs to a later request, which has to wait."""
        if self.state == EXCHANGING:
            return self.exchange.request_complete
        return self.state == AWAITING and self.write_paused

    cdef void feed(self, const char* data, size_t size) noexcept:
        """Parses until the bytes end, or until they belong to a request that has to wait."""
        cdef int error
        cdef size_t taken
        self.feeding = True
        while size:
            if self.state == AWAITING:
                taken = self.skip_empty_line(data, size)
                data += taken
                size -= taken
                if size == 0:
                    break
            error = parser_execute(&self.parser, data, size)
            if self.state == LINGERING or error == HPE_OK or not self.wire.is_open():
                size = 0
            elif error == HPE_PAUSED:
                parser_resume(&self.parser)
                taken = self.parser.llhttp.error_pos - data
                data += taken
                size -= taken
                if self.is_busy() or (self.state == AWAITING and not self.keep_alive):
                    break
            else:
                self.on_parse_error(error)
                size = 0
        self.feeding = False
        if self.state == EXCHANGING:
            head_own(&self.exchange.request)
            head_own(&self.exchange.trailers)
        elif self.state == READING_HEAD:
            self.arm(self.head_due_ms)
        if size:
            buffer_put(&self.pending, data, size)

    cdef size_t skip_empty_line(self, const char* data, size_t size) noexcept:
        """One CRLF before a request line is forgiven (RFC 9112 section 2.2), a lone CR or LF is not.

        Returns how many bytes are done with: all of them when they are refused.
        """
        cdef size_t at = 0
        while at < size and (data[at] == 13 or data[at] == 10):
            if self.empty_line == NO_EMPTY_LINE and data[at] == 13:
                self.empty_line = EMPTY_LINE_CR
            elif self.empty_line == EMPTY_LINE_CR and data[at] == 10:
                self.empty_line = EMPTY_LINE_WHOLE
            else:
                self.reject(BAD_REQUEST)
                return size
            at += 1
        if at < size and self.empty_line == EMPTY_LINE_CR:
            self.reject(BAD_REQUEST)
            return size
        return at

    cdef void after_event(self) noexcept:
        """Sends what the event has produced, in one call for each side; ends a connection that is over."""
        if self.exchange.upstream is not None:
            self.exchange.upstream.flush()
        if self.state == AWAITING and (not self.keep_alive or (self.eof and self.pending.size == 0)):
            self.end()
        elif self.state == READING_HEAD and self.eof:
            self.reject(BAD_REQUEST)
        else:
            self.wire.flush()

    cdef void next_request(self) noexcept:
        """The answer has gone out: goes on with what has been pipelined, or ends."""
        cdef Buffer pending
        while self.state == AWAITING and not (self.feeding or self.write_paused):
            if not self.keep_alive or self.pending.size == 0:
                break
            pending = self.pending
            self.pending = Buffer(NULL, 0, 0)
            self.feed(pending.data, pending.size)
            buffer_free(&pending)
        if self.feeding or self.state == GONE:
            return
        self.after_event()
        if self.pending.size <= MAX_PENDING:
            self.start_reading(STOP_PIPELINE)

    cdef void begin_exchange(self, Code code) noexcept:
        """The head is read (or will never be: `code`): hands it to the exchange."""
        cdef Exchange exchange = self.exchange
        self.state = EXCHANGING
        exchange.begin()
        self.keep_alive = (self.keep_alive and code == NO_CODE and not self.worker.draining)
        self.body_mark = 0
        if code == NO_CODE:
            exchange.resume()
        else:
            exchange.refuse(code)
        if self.state == EXCHANGING:
            self.arm_exchange()

    cdef void reject(self, Code code) noexcept:
        """Answers what is not a request, or not yet, and closes."""
        cdef Exchange exchange = self.exchange
        self.worker.bad_requests += 1
        if self.state == AWAITING:
            exchange.started_ns = self.clock.now_ns
        admit_nothing(exchange)
        self.begin_exchange(code)

    cdef void on_parse_error(self, int error) noexcept:
        cdef Code code = parse_error_code(&self.parser, error)
        if self.state == EXCHANGING:
            self.keep_alive = False
            self.exchange.refuse(BAD_FRAMING if code == BAD_REQUEST else code)
        elif self.state == DISCARDING:
            self.linger()
        else:
            self.reject(code)

    cdef void arm_exchange(self) noexcept:
        cdef uint64_t due = self.exchange.deadline_ms
        cdef uint64_t look = self.clock.now_ms + self.worker.plan.body_ms
        if (self.write_paused or not self.exchange.request_complete) and look < due:
            due = look
        self.arm(due)

    cdef void deadline_changed(self) noexcept:
        if self.state == EXCHANGING:
            self.arm_exchange()

    cdef void stop_reading(self, ReadStop reason) noexcept:
        self.read_stops |= reason
        self.wire.pause_reading()

    cdef void start_reading(self, ReadStop reason) noexcept:
        if self.read_stops & reason:
            self.read_stops &= ~reason
            if self.read_stops == 0:
                self.wire.resume_reading()

    cdef void pause_request(self) noexcept:
        self.stop_reading(STOP_BODY)

    cdef void resume_request(self) noexcept:
        if self.read_stops & STOP_BODY and self.state == EXCHANGING:
            # The time in which we did not read is not the client's.
            self.body_mark = self.exchange.body_received
            self.arm_exchange()
        self.start_reading(STOP_BODY)

    # --- the end of an answer, and of the connection ----------------------------------------------

    cdef void exchange_over(self) noexcept:
        """The answer is written. Before another request, this one's body must have been read."""
        if self.state != EXCHANGING:
            return
        self.start_reading(STOP_BODY)
        if not self.keep_alive and (self.exchange.error != NO_CODE or not self.exchange.request_complete):
            self.linger()
        elif self.exchange.request_complete:
            self.state = AWAITING
            self.arm(self.clock.now_ms + self.worker.plan.idle_ms)
            self.next_request()
        else:
            self.state = DISCARDING
            self.discarded = 0
            self.wire.flush()
            self.arm(self.clock.now_ms + self.worker.plan.body_ms)

    cdef void end(self) noexcept:
        """Closes in order: everything was read, so no reset follows."""
        self.state = LINGERING
        self.wire.close()
        self.arm_linger()

    cdef void arm_linger(self) noexcept:
        self.taken_mark = self.wire.taken()
        self.arm_after(self.worker.plan.body_ms if self.wire.unsent() else LINGER_MS)

    cdef void linger(self) noexcept:
        """Closes our side and throws away what still comes: a close with unread bytes would send a reset,
        which can destroy the answer on its way (RFC 9112 section 9.6)."""
        self.state = LINGERING
        self.discarded = 0
        self.pending.size = 0
        if self.eof:
            self.end()
            return
        self.start_reading(STOP_PIPELINE)
        self.wire.finish_writing()
        self.arm_linger()

    cdef void abort(self) noexcept:
        """The answer cannot be completed: the client must not take what it has for the whole."""
        if self.state == GONE:
            return
        self.state = LINGERING
        self.wire.flush()
        if self.exchange.response_framing.kind == BODY_UNTIL_CLOSE or self.exchange.http_minor == 0:
            self.wire.reset()
        else:
            self.wire.close()
            self.arm_linger()

    cdef void drain(self) noexcept:
        """No further request: closes now when none runs. A connection that has served none yet may have one
        on its way, which a close would answer with a reset; it is waited for."""
        if self.state == AWAITING and self.exchange.serial:
            self.end()
        elif self.state == AWAITING:
            self.arm_after(FIRST_REQUEST_MS)
        else:
            self.keep_alive = False

    cdef void drop(self) noexcept:
        self.wire.abort()
