"""One request and its answer, whatever HTTP version either side speaks.

    downstream  --request-->   Exchange   --request-->   upstream
    downstream  <--response--  Exchange   <--response--  upstream

The two sides are abstract (`sides.pxd`); `downstream.pyx` and `upstream.pyx` speak HTTP/1.1 behind them.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from gateway.cext.buffer cimport Buffer
from gateway.cext.bulkhead cimport Bulkhead
from gateway.cext.framing cimport Framing
from gateway.cext.head cimport Head, Target
from gateway.cext.mirror cimport Mirror
from gateway.cext.plan cimport Plan, Route
from gateway.cext.pool cimport Pool
from gateway.cext.principal cimport Principal
from gateway.cext.refusal cimport Code
from gateway.cext.service cimport Service
from gateway.cext.sides cimport Downstream, Upstream
from gateway.cext.worker cimport Worker

cdef enum:
    MAX_CORRELATION_ID = 128
    MAX_ATTEMPTS = 10               # as the configuration allows
    # Limits of what is under way that hold for one request
    MAX_ENTERED = 4


cdef class Exchange:
    cdef Worker worker
    cdef Downstream downstream
    cdef Upstream upstream          # None until `forward` has one
    cdef Plan plan
    cdef uint64_t serial            # grows with each request, so that a stale queue entry is known

    # The caller, set once for a connection
    cdef char peer[64]              # text of the address
    cdef uint8_t peer_address[16]   # IPv4 mapped
    cdef const char* scheme

    # The request: filled by the downstream
    cdef Head request
    cdef Head trailers
    cdef const char* method
    cdef uint32_t method_size
    cdef uint32_t method_id         # as `gw_metrics_observe` counts it
    cdef bint is_head
    cdef bint is_idempotent
    cdef int http_minor
    cdef Target target
    cdef uint32_t authority_off     # Host as received, in the request's head
    cdef uint32_t authority_size
    cdef Buffer host                # lower-case name without port
    cdef Buffer known_host          # the text that `host` was last parsed from …
    cdef size_t known_host_length   # … and the length of its name
    cdef Framing request_framing
    cdef bint expects_continue
    cdef bint request_complete
    cdef uint64_t body_received
    cdef Buffer held                # body bytes that arrived before an upstream did, or may go again
    cdef size_t kept_limit          # bytes of body that are kept to be sent again; 0 = none
    cdef bint body_lost             # some were sent and not kept: no other attempt is possible

    # What the stages fill
    cdef Buffer path                # canonical
    cdef Route route
    cdef Principal principal        # who is calling; None: anonymous, or not asked
    cdef uint64_t entered[MAX_ENTERED]  # keys that this request counts for while it is under way
    cdef uint32_t entered_count
    cdef Buffer upstream_path
    cdef bint trusted               # the peer stands in server.trusted_proxies
    cdef int stage
    cdef bint suspended             # a coroutine has it, and will call `go_on`
    cdef Pool pool
    cdef bint waiting               # in the pool's queue

    # Filled by `forward`
    cdef Service service            # None before it
    cdef Bulkhead bulkhead          # that holds the exchange, running …
    cdef bint in_bulkhead           # … or in its queue
    cdef bint replayed              # sent again after a kept connection had died
    cdef int attempts               # begun
    cdef uint32_t tried[MAX_ATTEMPTS]   # endpoint of each
    cdef uint32_t endpoint          # of the last one
    cdef bint in_endpoint           # counted there as in flight
    cdef bint attempt_open          # not yet reported
    cdef uint64_t attempt_ns        # when it began
    cdef uint32_t ticket            # the breaker's
    cdef bint backing_off           # before the next one
    cdef bint fell_back
    cdef Exchange copy              # the mirror's Copy, while it gathers the body; or None
    cdef Mirror mirror              # of a Copy; None for a client's own request
    cdef Exchange hedge             # the Hedge that is under way, or None
    cdef int hedged                 # HedgeOutcome

    # The response
    cdef int status
    cdef Framing response_framing
    cdef bint head_sent
    cdef bint response_complete
    cdef Code error
    cdef list charges               # Charge: what the answer may say the cost of; or None
    cdef Buffer answer_fields       # whole lines that the answer carries, whoever gives it
    cdef bint tells_limits          # … among them what is left of the limits
    cdef Buffer detail              # of a refusal: what its message adds, safe in JSON
    cdef uint32_t retry_after_s     # of a refusal; 0 = as its status says
    cdef uint64_t body_sent
    cdef char correlation_id[MAX_CORRELATION_ID]
    cdef uint32_t correlation_size
    cdef bint active
    cdef uint64_t started_ns
    cdef uint64_t total_ms          # when service.timeouts.total is over
    cdef uint64_t deadline_ms       # that, or the end of a wait for a connection
    cdef Code deadline_code

    cdef void begin(self) noexcept
    cdef void resume(self) noexcept
    cdef void suspend(self, coroutine) noexcept
    cdef void go_on(self, str refused) noexcept
    cdef void refuse(self, Code code) noexcept
    cdef void answer(self, int status, Buffer* fields, Buffer* body) noexcept
    cdef void attach(self, Upstream upstream) noexcept
    cdef void on_request_body(self, const char* data, size_t size) noexcept
    cdef void on_request_end(self) noexcept
    cdef void on_interim(self, int status, const Head* head) noexcept
    cdef void on_response_head(self, int status, const Head* head, Framing framing) noexcept
    cdef void on_response_body(self, const char* data, size_t size) noexcept
    cdef void on_response_end(self, const Head* trailers) noexcept
    cdef void on_upstream_failed(self, Code code, bint replayable) noexcept
    cdef void on_downstream_lost(self) noexcept
    cdef void choose_correlation_id(self) noexcept
    cdef void drop_upstream(self) noexcept
    cdef void leave_service(self) noexcept
    cdef void wait_until(self, uint64_t due_ms, Code code) noexcept
    cdef void end_wait(self) noexcept
    cdef void finish(self) noexcept
