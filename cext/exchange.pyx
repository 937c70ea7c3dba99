"""The life of an exchange: begin, decide stage by stage, pass both bodies, finish exactly once."""

import logging

from libc.string cimport memcpy

from gateway.cext.authentication cimport write_challenge
from gateway.cext.buffer cimport buffer_free, buffer_put, buffer_put_text, buffer_put_uint
from gateway.cext.clock cimport NEVER
from gateway.cext.cost cimport settle_costs
from gateway.cext.forward cimport (
    end_attempt,
    is_rescued,
    leave_endpoint,
    try_again,
    try_again_after,
)
from gateway.cext.framing cimport BODY_NONE
from gateway.cext.field_name cimport FIELD_CORRELATION_ID
from gateway.cext.head cimport field_value, head_free
from gateway.cext.hedge cimport await_hedge, cancel_hedge, yields
from gateway.cext.hedging cimport NO_HEDGE
from gateway.cext.in_flight cimport leave_all
from gateway.cext.mirrored cimport copy_body, copy_end, drop_copy
from gateway.cext.native cimport GW_FAILURE, GW_SUCCESS
from gateway.cext.plan cimport GO, Verdict
from gateway.cext.refusal cimport (
    BODY_TOO_LARGE,
    INSUFFICIENT_SCOPE,
    METHOD_NOT_ALLOWED,
    NO_CODE,
    UPSTREAM_TIMEOUT,
    Row,
    code_named,
    refusal,
)
from gateway.cext.stages cimport match, write_allow
from gateway.cext.sticky_cookie cimport stick

cdef enum:
    # nginx's number for a request whose client went before there was an answer; never sent
    CLIENT_CLOSED = 499
    # Seconds: what a 503 says of when to come back, where nothing better is known.
    RETRY_AFTER_S = 1

log = logging.getLogger("gateway.exchange")


cdef class Exchange:
    def __cinit__(self, Worker worker, Downstream downstream):
        self.worker = worker
        self.downstream = downstream

    def __dealloc__(self):
        head_free(&self.request)
        head_free(&self.trailers)
        buffer_free(&self.host)
        buffer_free(&self.known_host)
        buffer_free(&self.path)
        buffer_free(&self.upstream_path)
        buffer_free(&self.held)
        buffer_free(&self.answer_fields)
        buffer_free(&self.detail)

    cdef void begin(self) noexcept:
        """The head is whole and its framing is sound: counts the exchange and runs the stages."""
        self.active = True
        self.plan = self.worker.plan
        self.route = self.plan.unrouted
        self.upstream = None
        self.pool = None
        self.principal = None
        self.waiting = False
        self.suspended = False
        self.service = None
        self.bulkhead = None
        self.in_bulkhead = self.in_endpoint = False
        self.replayed = self.attempt_open = self.backing_off = self.fell_back = False
        self.copy = None
        self.hedge = None
        self.hedged = NO_HEDGE
        self.attempts = 0
        self.kept_limit = 0
        self.body_lost = False
        self.stage = 0
        self.status = 0
        self.error = NO_CODE
        self.head_sent = False
        self.response_complete = False
        self.request_complete = self.request_framing.kind == BODY_NONE
        self.body_received = 0
        self.body_sent = 0
        self.held.size = 0
        self.answer_fields.size = 0
        self.tells_limits = False
        self.detail.size = 0
        self.retry_after_s = 0
        self.entered_count = 0
        self.charges = None
        self.deadline_ms = self.total_ms = NEVER
        self.deadline_code = UPSTREAM_TIMEOUT
        self.path.size = 0
        self.trusted = self.plan.trusted.count != 0 and self.plan.trusted.holds(self.peer_address)
        self.choose_correlation_id()
        self.worker.exchanges += 1

    cdef void choose_correlation_id(self) noexcept:
        """Taken from a trusted caller when it is short and printable, made otherwise."""
        cdef uint32_t i, size
        cdef const char* value
        if self.trusted:
            for i in range(self.request.count):
                if self.request.fields[i].id == FIELD_CORRELATION_ID:
                    size = self.request.fields[i].value_len
                    value = field_value(&self.request, i)
                    if is_correlation_id(value, size):
                        memcpy(self.correlation_id, value, size)
                        self.correlation_size = size
                        return
        self.correlation_size = self.worker.make_id(self.correlation_id)

    cdef void resume(self) noexcept:
        """Runs the stages from where the exchange stands until one refuses or waits."""
        cdef Verdict verdict
        if self.route is self.plan.unrouted:
            if match(self) != GO:
                return
        while self.stage < self.route.stage_count:
            verdict = self.route.stages[self.stage](self)
            self.stage += 1
            if verdict != GO:
                return

    cdef void suspend(self, coroutine) noexcept:
        """Hands the exchange to a coroutine; the stage that calls this says WAIT.

        The coroutine returns None, and the next stage runs, or the code of a refusal. It bounds its own
        time. It runs to its end even when the exchange is over before: what it learns may serve others.
        """
        self.suspended = True
        self.worker.spawn(run_for(self, self.serial, coroutine))

    cdef void go_on(self, str refused) noexcept:
        """The coroutine is done: `refused` is a code, or None."""
        self.suspended = False
        self.worker.clock.read()
        if refused is not None:
            self.refuse(code_named(refused))
            return
        self.resume()
        if self.upstream is not None:
            self.upstream.flush()
            if not self.upstream.write_paused:
                self.downstream.resume_request()

    cdef void refuse(self, Code code) noexcept:
        """Ends the exchange with the gateway's own answer, or by a cut once the head has gone out."""
        cdef const Row* row = refusal(code)
        cdef Buffer fields = Buffer(NULL, 0, 0)
        cdef Buffer body = Buffer(NULL, 0, 0)
        if not self.active:
            return
        self.error = code
        if self.head_sent:
            self.finish()
            self.downstream.abort()
            return
        if self.service is not None and is_rescued(self, code):
            return
        buffer_put(&fields, b"Content-Type: application/json\r\n", 32)
        if code == METHOD_NOT_ALLOWED:
            write_allow(self, &fields)
        elif row.status == 401 or code == INSUFFICIENT_SCOPE:
            write_challenge(self, code, &fields)
        if self.retry_after_s == 0 and row.status == 503:
            self.retry_after_s = RETRY_AFTER_S
        if self.retry_after_s:
            buffer_put_text(&fields, b"Retry-After: ")
            buffer_put_uint(&fields, self.retry_after_s)
            buffer_put_text(&fields, b"\r\n")
        write_refusal(self, row, &body)
        self.answer(row.status, &fields, &body)
        buffer_free(&fields)
        buffer_free(&body)

    cdef void answer(self, int status, Buffer* fields, Buffer* body) noexcept:
        """Answers without an upstream. `fields` are whole lines; Content-Length is added."""
        self.status = status
        self.head_sent = True
        self.response_complete = True
        self.body_sent = 0 if self.is_head else body.size
        self.drop_upstream()
        self.downstream.send_answer(self, fields, body)
        self.finish()
        self.downstream.exchange_over()

    cdef void wait_until(self, uint64_t due_ms, Code code) noexcept:
        """Bounds a wait within the exchange's own deadline."""
        if due_ms < self.deadline_ms:
            self.deadline_ms = due_ms
            self.deadline_code = code
            self.downstream.deadline_changed()

    cdef void end_wait(self) noexcept:
        self.deadline_ms = self.total_ms
        self.deadline_code = UPSTREAM_TIMEOUT
        self.downstream.deadline_changed()

    cdef void attach(self, Upstream upstream) noexcept:
        """A connection is ours: sends what there is of the request. The caller flushes."""
        self.waiting = False
        self.deadline_ms = self.total_ms
        self.deadline_code = UPSTREAM_TIMEOUT
        self.upstream = upstream
        upstream.exchange = self
        upstream.send_head(self)
        if self.held.size:
            upstream.send_body(self.held.data, self.held.size)
            if self.held.size > self.kept_limit:
                self.body_lost = True
                buffer_free(&self.held)
        if self.request_complete:
            upstream.send_end(self)
        if upstream.write_paused:
            self.downstream.pause_request()
        if self.downstream.write_paused:
            upstream.pause_response()

    cdef void on_request_body(self, const char* data, size_t size) noexcept:
        if not self.active:
            return
        self.body_received += size
        if self.route.body_limit and self.body_received > self.route.body_limit:
            self.refuse(BODY_TOO_LARGE)
            return
        if self.copy is not None:
            copy_body(self, data, size)
        if self.upstream is not None:
            self.upstream.send_body(data, size)
            if self.body_lost or self.held.size + size > self.kept_limit:
                self.body_lost = True
                buffer_free(&self.held)
            else:
                buffer_put(&self.held, data, size)
        else:
            buffer_put(&self.held, data, size)
            self.downstream.pause_request()

    cdef void on_request_end(self) noexcept:
        if not self.request_complete:
            self.request_complete = True
            if self.copy is not None:
                copy_end(self)
            if self.upstream is not None:
                self.upstream.send_end(self)

    cdef void on_interim(self, int status, const Head* head) noexcept:
        if self.http_minor and (status != 100 or self.expects_continue):
            self.downstream.send_interim(self, status, head)

    cdef void on_response_head(self, int status, const Head* head, Framing framing) noexcept:
        if self.attempt_open:
            end_attempt(self, GW_FAILURE if status >= 500 else GW_SUCCESS)
        if self.hedge is not None and yields(self, status):
            return
        if status >= 500 and self.service.retries is not None and try_again_after(self, status):
            return
        if self.service.cookie_name is not None:
            stick(self)
        if self.charges is not None:
            settle_costs(self, head)
        self.body_lost = True
        self.status = status
        self.response_framing = framing
        self.head_sent = True
        self.downstream.send_head(self, head)

    cdef void on_response_body(self, const char* data, size_t size) noexcept:
        self.body_sent += size
        self.downstream.send_body(data, size)

    cdef void on_response_end(self, const Head* trailers) noexcept:
        """The upstream has let go of the exchange before."""
        self.response_complete = True
        self.downstream.send_end(trailers)
        self.finish()
        self.downstream.exchange_over()

    cdef void on_upstream_failed(self, Code code, bint replayable) noexcept:
        """The connection is lost, or was never made.

        `replayable`: it had served before and died before a byte of this answer came, so the service may
        never have seen the request (RFC 9112 section 9.3.1). Sent once more, on a fresh connection.
        """
        cdef Pool pool = self.pool
        cdef bint unsent = self.upstream is None
        self.upstream = None
        self.waiting = False
        if self.hedge is not None:
            end_attempt(self, GW_FAILURE)
            await_hedge(self)
            return
        if (replayable and not self.replayed and self.is_idempotent
                and self.request_framing.kind == BODY_NONE):
            self.replayed = True
            pool.count_retry()
            pool.acquire(self, True)
            return
        if self.attempt_open:
            end_attempt(self, GW_FAILURE)
        if self.head_sent or not try_again(self, code, unsent):
            self.refuse(code)

    cdef void on_downstream_lost(self) noexcept:
        if self.active and not self.head_sent:
            self.status = CLIENT_CLOSED
        self.finish()

    cdef void drop_upstream(self) noexcept:
        cdef Upstream upstream = self.upstream
        if upstream is not None:
            self.upstream = None
            upstream.exchange = None
            upstream.abort()

    cdef void leave_service(self) noexcept:
        """Lets go of all that the exchange holds of its service."""
        if self.hedge is not None:
            cancel_hedge(self)
        self.drop_upstream()
        if self.waiting:
            self.waiting = False
            self.pool.leave_queue()
        self.backing_off = False
        leave_endpoint(self)
        if self.bulkhead is not None:
            self.bulkhead.leave(self)

    cdef void finish(self) noexcept:
        """Exactly once for each exchange, on every path: counts, logs, lets go of the upstream."""
        if not self.active:
            return
        self.active = False
        if self.service is not None:
            self.leave_service()
        if self.copy is not None:
            drop_copy(self)
        buffer_free(&self.held)
        leave_all(self)
        self.serial += 1
        self.worker.exchanges -= 1
        self.worker.record(self)
        self.suspended = False
        self.principal = None
        self.service = None
        self.plan = None


async def run_for(Exchange exchange, uint64_t serial, coroutine):
    """Runs what the exchange waits for, and goes on with it if it is still the same one."""
    cdef str refused
    try:
        refused = await coroutine
    except Exception:
        log.exception("a request is refused: what it waited for has failed")
        refused = "internal_error"
    if exchange.suspended and exchange.serial == serial:
        exchange.go_on(refused)


cdef bint is_correlation_id(const char* value, uint32_t size) noexcept:
    cdef uint32_t i
    if size == 0 or size > MAX_CORRELATION_ID:
        return False
    for i in range(size):
        # Printable ASCII without what would need escaping in JSON or a log line.
        if not 33 <= value[i] <= 126 or value[i] == 34 or value[i] == 92:
            return False
    return True


cdef void write_refusal(Exchange exchange, const Row* row, Buffer* body) noexcept:
    buffer_put_text(body, b'{"error":"')
    buffer_put_text(body, row.message)
    buffer_put(body, exchange.detail.data, exchange.detail.size)
    buffer_put_text(body, b'","code":"')
    buffer_put_text(body, row.code)
    buffer_put_text(body, b'","correlationId":"')
    buffer_put(body, exchange.correlation_id, exchange.correlation_size)
    buffer_put_text(body, b'"')
    if exchange.retry_after_s:
        buffer_put_text(body, b',"retryAfter":')
        buffer_put_uint(body, exchange.retry_after_s)
    buffer_put_text(body, b"}")
