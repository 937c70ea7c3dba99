"""Writes answers to a client: what they say of the connection, and how their body is framed."""

from gateway.cext.buffer cimport Buffer
from gateway.cext.chunked cimport write_chunk, write_last_chunk
from gateway.cext.framing cimport BODY_CHUNKED, BODY_LENGTH, BODY_UNTIL_CLOSE, BodyKind
from gateway.cext.head cimport Head
from gateway.cext.refusal cimport NO_CODE, refusal
from gateway.cext.response_head cimport (
    CLOSE,
    PERSIST,
    PERSIST_HTTP10,
    write_answer_head,
    write_interim_head,
    write_response_head,
)


cdef class ResponseWriter(Downstream):
    cdef Persistence persistence(self) noexcept:
        if not self.keep_alive:
            return CLOSE
        return PERSIST if self.exchange.http_minor else PERSIST_HTTP10

    cdef void send_interim(self, Exchange exchange, int status, const Head* head) noexcept:
        write_interim_head(status, head, &self.wire.out)
        self.wire.flush()

    cdef void send_head(self, Exchange exchange, const Head* head) noexcept:
        cdef BodyKind kind = exchange.response_framing.kind
        cdef bint endless = kind == BODY_CHUNKED or kind == BODY_UNTIL_CLOSE
        self.sends_chunks = endless and exchange.http_minor != 0
        if ((endless and not self.sends_chunks) or self.worker.draining
                or (exchange.expects_continue and not exchange.request_complete)):
            # The client may or may not send the body that it asked leave for: out of step, so closed.
            self.keep_alive = False
        write_response_head(exchange, head, self.persistence(), self.sends_chunks, self.clock.date,
                            &self.wire.out)

    cdef void send_body(self, const char* data, size_t size) noexcept:
        if self.sends_chunks:
            write_chunk(self.wire, data, size)
        else:
            self.wire.write(data, size)

    cdef void send_end(self, const Head* trailers) noexcept:
        if self.sends_chunks:
            write_last_chunk(self.wire, trailers)

    cdef void send_answer(self, Exchange exchange, Buffer* fields, Buffer* body) noexcept:
        if exchange.error != NO_CODE and refusal(exchange.error).closes:
            self.keep_alive = False
        if not exchange.request_complete and not self.is_rest_short():
            self.keep_alive = False
        write_answer_head(exchange, fields, body.size, self.persistence(), self.clock.date, &self.wire.out)
        if not exchange.is_head:
            self.wire.write(body.data, body.size)

    cdef bint is_rest_short(self) noexcept:
        """Whether the unread body is known to come and to be small enough to be read and thrown away."""
        cdef Exchange exchange = self.exchange
        return (exchange.request_framing.kind == BODY_LENGTH and not exchange.expects_continue
                and exchange.request_framing.length - exchange.body_received <= MAX_DISCARD)

    cdef void flush(self) noexcept:
        self.wire.flush()
