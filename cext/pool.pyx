"""The pool of one endpoint, in one worker.

    (dial) --> DIALING --> BUSY <--> IDLE        any --> CLOSED

An exchange takes the connection that became idle last, so that few stay warm and the rest run into their idle
timeout. Without one it dials, up to `max_connections`; beyond that it waits in a bounded queue. Whichever
connection comes free first, dialled or released, serves whoever has waited longest.
"""

import json
import logging
import socket
from collections import deque

from libc.stdint cimport uint64_t

from gateway.cext.address cimport internet_address, numeric_addresses, unix_address
from gateway.cext.native cimport (
    GW_UPSTREAM_CONNECTIONS_ACTIVE,
    GW_UPSTREAM_CONNECTIONS_IDLE,
    GW_UPSTREAM_CONNECTS_TOTAL,
    GW_UPSTREAM_CONNECT_FAILURES_TOTAL,
    GW_UPSTREAM_QUEUE,
    GW_UPSTREAM_QUEUE_FULL_TOTAL,
    GW_UPSTREAM_RETRIES_TOTAL,
    GW_UPSTREAM_REUSED_TOTAL,
    gw_metrics_service_add,
)
from gateway.cext.plan cimport GO, REFUSED, WAIT
from gateway.cext.refusal cimport (
    UPSTREAM_CONNECT_FAILED,
    UPSTREAM_OVERLOADED,
    UPSTREAM_RESET,
)
from gateway.cext.upstream cimport Http1Upstream

log = logging.getLogger("gateway.upstream")


cdef class Pool:
    def __init__(self, Worker worker, dict service, dict endpoint):
        self.worker = worker
        self.url = endpoint["url"]
        self.log_url = json.dumps(self.url).encode()
        self.host = endpoint["host"]
        self.port = endpoint["port"]
        if endpoint["unix"]:
            self.addresses = [unix_address(endpoint["unix"])]
            self.authority = b"localhost"
        else:
            self.addresses = numeric_addresses(self.host, self.port)
            # Brackets: a colon in a host would be the beginning of the port (RFC 3986 section 3.2.2).
            literal = f"[{self.host}]" if ":" in self.host else self.host
            self.authority = f"{literal}:{self.port}".encode()
        self.idle = []
        self.queue = deque()
        self.configure(service)

    def __repr__(self):
        return (
            f"<Pool {self.url} open={self.open} dialing={self.dialing} idle={len(self.idle)} "
            f"queued={self.queued}{' retired' if self.retired else ''}>"
        )

    cdef void configure(self, dict service) noexcept:
        """Takes the settings of a (new) plan; connections stay."""
        pool = service["pool"]
        timeouts = service["timeouts"]
        self.service_label = service["label"]
        self.max_connections = pool["max_connections"]
        self.max_queue = pool["max_queue"]
        self.pool_idle_ms = round(pool["idle_timeout"] * 1000)
        self.connect_ms = round(timeouts["connect"] * 1000)
        self.response_ms = round(timeouts["response"] * 1000)
        self.stream_idle_ms = round(timeouts["idle"] * 1000)
        self.retired = False

    cdef Verdict acquire(self, Exchange exchange, bint fresh) noexcept:
        """A connection for `exchange`: now, or later through `Exchange.attach`. `fresh`: not a used one."""
        cdef Upstream upstream
        exchange.pool = self
        while self.idle and not fresh:
            upstream = <Upstream>self.idle.pop()
            if not upstream.is_open():
                # Closed in this very batch of events, and not told of it yet.
                upstream.state = CLOSED
                self.open -= 1
                continue
            upstream.state = BUSY
            upstream.reused = True
            self.reused += 1
            exchange.attach(upstream)
            return GO
        if self.queued >= self.max_queue and self.open >= self.max_connections:
            self.count(GW_UPSTREAM_QUEUE_FULL_TOTAL)
            exchange.refuse(UPSTREAM_OVERLOADED)
            return REFUSED
        exchange.waiting = True
        self.queue.append((exchange, exchange.serial))
        self.queued += 1
        self.start_dials()
        if self.dialing < self.queued and self.connect_ms:
            exchange.wait_until(self.worker.clock.now_ms + self.connect_ms, UPSTREAM_OVERLOADED)
        return WAIT

    cdef bint has_room(self) noexcept:
        """Whether one more exchange would get a connection, idle or dialled for it, without a queue."""
        return len(self.idle) != 0 or self.open + self.queued - self.dialing < self.max_connections

    cdef void leave_queue(self) noexcept:
        """An exchange ended while it waited; its entry is skipped when its turn comes."""
        self.queued -= 1
        # Those who give up are mostly those who have waited longest; what they hold must not stay.
        while self.queue and is_stale(self.queue[0]):
            self.queue.popleft()

    cdef Exchange next_waiting(self):
        cdef Exchange exchange
        while self.queue:
            entry = self.queue.popleft()
            if not is_stale(entry):
                exchange = <Exchange>entry[0]
                self.queued -= 1
                exchange.waiting = False
                return exchange
        return None

    cdef void start_dials(self) noexcept:
        cdef Http1Upstream upstream
        while self.dialing < self.queued and self.open < self.max_connections:
            self.dialing += 1
            self.open += 1
            self.count(GW_UPSTREAM_CONNECTS_TOTAL)
            upstream = Http1Upstream(self)
            if self.addresses is None:
                self.worker.spawn(resolve(self, upstream))
            else:
                upstream.dial(self.addresses)

    cdef void dialed(self, Upstream upstream) noexcept:
        if not upstream.is_open():
            # Accepted and closed before we came to use it.
            upstream.state = CLOSED
            self.dial_failed(UPSTREAM_RESET)
            return
        self.worker.clock.read()
        self.dialing -= 1
        upstream.state = BUSY
        self.release(upstream)

    cdef void dial_failed(self, Code code) noexcept:
        """One dial, one exchange: the rest of the queue gets dials of its own."""
        cdef Exchange exchange
        self.worker.clock.read()
        self.dialing -= 1
        self.open -= 1
        self.count(GW_UPSTREAM_CONNECT_FAILURES_TOTAL)
        exchange = self.next_waiting()
        if exchange is not None:
            exchange.on_upstream_failed(code, False)
        self.start_dials()

    cdef void release(self, Upstream upstream) noexcept:
        """A connection is free: whoever waits longest gets it, else it becomes idle."""
        cdef Exchange exchange
        if not upstream.is_open():
            self.forget(upstream)
            return
        exchange = self.next_waiting()
        if exchange is not None:
            upstream.state = BUSY
            if upstream.reused:
                self.reused += 1
            exchange.attach(upstream)
            upstream.flush()
            if not upstream.write_paused:
                exchange.downstream.resume_request()
        elif self.retired or self.worker.draining:
            upstream.abort()
        else:
            upstream.state = IDLE
            upstream.rest(self.pool_idle_ms)
            self.idle.append(upstream)

    cdef void forget(self, Upstream upstream) noexcept:
        """A connection is closed or lost; its place is free. `dial_failed` accounts for one being dialled."""
        if upstream.state == CLOSED or upstream.state == DIALING:
            return
        if upstream.state == IDLE:
            self.idle.remove(upstream)
        upstream.state = CLOSED
        self.open -= 1
        self.start_dials()

    cdef void retire(self) noexcept:
        """The endpoint has left the plan: what is idle closes now, what is busy after its answer."""
        self.retired = True
        for upstream in list(self.idle):
            (<Upstream>upstream).abort()

    cdef void count(self, uint32_t counter) noexcept:
        gw_metrics_service_add(self.worker.region, self.service_label, counter, 1)

    cdef void count_retry(self) noexcept:
        self.count(GW_UPSTREAM_RETRIES_TOTAL)

    cdef void publish(self) noexcept:
        """Brings the segment's gauges up to date; called on the tick, so that requests do not pay for it."""
        cdef int idle = <int>len(self.idle)
        cdef int active = self.open - self.dialing - idle
        gw_metrics_service_add(self.worker.region, self.service_label,
                               GW_UPSTREAM_CONNECTIONS_IDLE, idle - self.published_idle)
        gw_metrics_service_add(self.worker.region, self.service_label,
                               GW_UPSTREAM_CONNECTIONS_ACTIVE, active - self.published_active)
        gw_metrics_service_add(self.worker.region, self.service_label,
                               GW_UPSTREAM_QUEUE, self.queued - self.published_queued)
        gw_metrics_service_add(self.worker.region, self.service_label,
                               GW_UPSTREAM_REUSED_TOTAL, <long>(self.reused - self.published_reused))
        self.published_idle = idle
        self.published_active = active
        self.published_queued = self.queued
        self.published_reused = self.reused


cdef bint is_stale(entry) noexcept:
    """Whether the exchange of a queue entry has ended or gone on without it."""
    cdef Exchange exchange = <Exchange>entry[0]
    return exchange.serial != <uint64_t>entry[1] or not exchange.waiting


async def resolve(Pool pool, Http1Upstream upstream):
    """Looks the endpoint's name up, then dials."""
    cdef list addresses = []
    try:
        for found in await pool.worker.loop.getaddrinfo(pool.host, pool.port, type=socket.SOCK_STREAM):
            addresses.append(internet_address(found[0], found[4]))
    except Exception as error:
        if not isinstance(error, OSError):
            # A host name that no resolver takes, say: whatever it is, the exchange gets its answer.
            log.exception("cannot look up %s", pool.url)
    if upstream.state != DIALING:
        return  # its time was over before
    if addresses:
        upstream.dial(addresses)
    else:
        upstream.dial_failed(UPSTREAM_CONNECT_FAILED)
