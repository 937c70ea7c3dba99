"""Copies of requests for a mirror.

    original  --request-->  its service            the client gets this answer
        `- Copy --request-->  the mirror  --answer--> Sink

A copy owns all that it needs, so it may outlive its original, and it begins in a turn of the loop of its own:
the original never waits for it. A body is gathered until it is whole; beyond a limit the copy is dropped.
"""

from libc.string cimport memcpy

from gateway.cext.buffer cimport Buffer, buffer_free, buffer_put
from gateway.cext.clock cimport NEVER
from gateway.cext.forward cimport flush_attempt, forward_to
from gateway.cext.head cimport Head, head_copy
from gateway.cext.native cimport GW_MIRROR_FAILED_TOTAL, GW_MIRRORED_TOTAL, gw_metrics_service_add
from gateway.cext.refusal cimport NO_CODE, UPSTREAM_TIMEOUT

cdef enum:
    # A copy that takes longer is cut off, whatever its service's timeouts say: an answer that never ends must
    # not hold its place for ever.
    LONGEST_MS = 60000


cdef void make_copy(Mirror mirror, Exchange exchange, set under_way) noexcept:
    cdef Sink sink = Sink()
    cdef Copy copy = Copy(exchange.worker, sink)
    sink.copy = copy
    copy.mirror = mirror
    copy.under_way = under_way
    under_way.add(copy)
    copy.take(exchange)
    if exchange.request_complete:
        copy.go()
    else:
        exchange.copy = copy


cdef void copy_body(Exchange exchange, const char* data, size_t size) noexcept:
    """More of the original's body."""
    cdef Exchange copy = exchange.copy
    if copy.held.size + size > copy.mirror.body_limit:
        drop_copy(exchange)
    else:
        buffer_put(&copy.held, data, size)


cdef void copy_end(Exchange exchange) noexcept:
    """The original's body is whole."""
    cdef Copy copy = <Copy>exchange.copy
    exchange.copy = None
    copy.go()


cdef void drop_copy(Exchange exchange) noexcept:
    """The body is too large, or will never be whole."""
    cdef Copy copy = <Copy>exchange.copy
    exchange.copy = None
    copy.mirror.drop(exchange)
    copy.finish()


cdef class Copy(Exchange):
    cdef void take(self, Exchange original) noexcept:
        """Copies what the request's head is written from. Without `Expect`: nobody waits for the body."""
        self.active = True
        self.error = NO_CODE
        head_copy(&self.request, &original.request)
        self.plan = original.plan
        self.route = original.route
        self.principal = original.principal
        self.method = original.method
        self.method_size = original.method_size
        self.method_id = original.method_id
        self.is_head = original.is_head
        self.is_idempotent = original.is_idempotent
        self.http_minor = original.http_minor
        self.target = original.target
        self.authority_off = original.authority_off
        self.authority_size = original.authority_size
        self.request_framing = original.request_framing
        self.trusted = original.trusted
        self.scheme = original.scheme
        memcpy(self.peer, original.peer, sizeof(self.peer))
        memcpy(self.peer_address, original.peer_address, sizeof(self.peer_address))
        memcpy(self.correlation_id, original.correlation_id, original.correlation_size)
        self.correlation_size = original.correlation_size
        buffer_put(&self.upstream_path, original.upstream_path.data, original.upstream_path.size)
        buffer_put(&self.held, original.held.data, original.held.size)
        # Sent once, and nobody answers in its service's place.
        self.body_lost = True
        self.fell_back = True
        self.deadline_ms = self.total_ms = NEVER
        self.deadline_code = UPSTREAM_TIMEOUT

    cdef void go(self) noexcept:
        self.request_complete = True
        self.worker.loop.call_soon(self.send)

    def send(self):
        """In a turn of its own, behind all that the original had to do."""
        if not self.active:
            return
        self.begun = True
        self.worker.clock.read()
        self.downstream.start_timer(self.worker.clock)
        self.deadline_ms = self.total_ms = self.worker.clock.now_ms + LONGEST_MS
        gw_metrics_service_add(self.worker.region, self.mirror.service.label, GW_MIRRORED_TOTAL, 1)
        forward_to(self, self.mirror.service)
        self.downstream.deadline_changed()
        flush_attempt(self)

    cdef void finish(self) noexcept:
        if not self.active:
            return
        self.active = False
        if self.service is not None:
            self.leave_service()
        if self.begun and (self.error != NO_CODE or self.status >= 500):
            gw_metrics_service_add(self.worker.region, self.mirror.service.label, GW_MIRROR_FAILED_TOTAL, 1)
        self.downstream.stop_timer()
        (<Sink>self.downstream).copy = None
        buffer_free(&self.held)
        self.serial += 1
        self.service = None
        self.principal = None
        self.plan = None
        self.under_way.discard(self)


cdef class Sink(Downstream):
    cdef void on_deadline(self):
        cdef Copy copy = self.copy
        if copy is not None:
            copy.refuse(copy.deadline_code)

    cdef void deadline_changed(self) noexcept:
        if self.copy is not None:
            self.arm(self.copy.deadline_ms)

    cdef void send_interim(self, Exchange exchange, int status, const Head* head) noexcept:
        pass

    cdef void send_head(self, Exchange exchange, const Head* head) noexcept:
        pass

    cdef void send_body(self, const char* data, size_t size) noexcept:
        pass

    cdef void send_end(self, const Head* trailers) noexcept:
        pass

    cdef void send_answer(self, Exchange exchange, Buffer* fields, Buffer* body) noexcept:
        pass

    cdef void flush(self) noexcept:
        pass

    cdef void pause_request(self) noexcept:
        pass

    cdef void resume_request(self) noexcept:
        pass

    cdef void exchange_over(self) noexcept:
        pass

    cdef void abort(self) noexcept:
        pass
