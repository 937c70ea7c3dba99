"""The worker's centre: accepts connections, holds the plan and the pools, ticks, counts, drains."""

import logging
import os

from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.string cimport memcpy

from gateway.cext.bulkhead cimport Bulkhead
from gateway.cext.downstream cimport Http1Downstream
from gateway.cext.judgement cimport Judgement
from gateway.cext.native cimport (
    GW_BAD_REQUESTS_TOTAL,
    GW_BYTES_RECEIVED_TOTAL,
    GW_BYTES_SENT_TOTAL,
    GW_CONNECTIONS_ACCEPTED_TOTAL,
    GW_CONNECTIONS_ACTIVE,
    GW_CONNECTIONS_REFUSED_TOTAL,
    GW_LOOP_LAG_MICROSECONDS,
    GW_PLAN_GENERATION,
    GW_RATE_LIMIT_FALLBACK,
    GW_RATE_LIMIT_FALLBACK_DECISIONS_TOTAL,
    GW_RATE_LIMIT_LEASE_TOKENS_USED_TOTAL,
    GW_REQUESTS_IN_FLIGHT,
    GW_UPSTREAM_EJECTIONS_TOTAL,
    GW_REQUESTS_SHED_TOTAL,
    gw_endpoints_refresh,
    gw_metrics_add,
    gw_metrics_observe,
    gw_metrics_service_add,
    gw_metrics_set,
    gw_segment_beat,
)
from gateway.cext.pool cimport Pool
from gateway.cext.principal cimport Principal

log = logging.getLogger("gateway.upstream")

# Resolution of timeouts, heartbeat and log flush. Ten wake-ups a second cost nothing that can be measured.
TICK_S = 0.1

cdef bytes HEX = bytes(range(256)).hex().encode()
# Two digits for each byte value
cdef const char* HEX_PAIRS = HEX


cdef class Worker:
    def __init__(self, loop, segment, slot: int, plan: bytes, access_log=None, authenticator=None):
        """`authenticator(kind, credential, peer, fingerprint)` is awaited for what is not cached.
        Raises ValueError when the plan is not one.
        """
        self.loop = loop
        self.segment = segment
        self.slot = slot
        self.segment_address = <const GwSegment*><uintptr_t>segment.address
        self.hosts = 1
        self.judgement = Judgement()
        self.authenticator = authenticator
        self.credentials = Credentials(segment)
        self.used = []
        self.refused = {}
        self.region = <const GwRegion*><uintptr_t>segment.worker_address(slot)
        self.clock = Clock()
        self.poller = Poller(loop)
        self.access_log = None if access_log is None else AccessLog(access_log)
        self.labels = {text: segment.intern(text) for text in ("-", "/health")}
        self.pools = {}
        self.bulkheads = {}
        self.copies = {}
        self.retired = []
        self.downstreams = set()
        self.tasks = set()
        self.random_state = int.from_bytes(os.urandom(8), "little")
        self.install(plan)

    def __repr__(self):
        return (
            f"<Worker generation={self.plan.generation} connections={self.connections} "
            f"exchanges={self.exchanges} pools={list(self.pools.values())}>"
        )

    @property
    def generation(self):
        """Of the plan that new exchanges get."""
        return self.plan.generation

    # --- the plan ---------------------------------------------------------------------------------

    def install(self, plan: bytes) -> None:
        """Swaps the plan. Running exchanges keep theirs; endpoints that stay keep their connections."""
        pools, bulkheads = {}, {}

        def make_service(spec: dict) -> Service:
            members = []
            for endpoint in spec["endpoints"]:
                key = (spec["name"], endpoint["url"])
                pool = self.pools.get(key) or Pool(self, spec, endpoint)
                pools[key] = pool
                members.append(pool)
            bulkhead = None
            if spec["bulkhead"]:
                bulkhead = self.bulkheads.get(spec["name"]) or Bulkhead(self)
                bulkheads[spec["name"]] = bulkhead
            return Service(self, spec, members, bulkhead)

        compiled = Plan(plan, make_service, self.labels, self.segment)
        for service in compiled.service_specs:
            for endpoint in service["endpoints"]:
                (<Pool>pools[service["name"], endpoint["url"]]).configure(service)
            if service["bulkhead"]:
                (<Bulkhead>bulkheads[service["name"]]).configure(service["bulkhead"], compiled.workers)
        compiled.service_specs = None
        for key in self.pools.keys() - pools.keys():
            (<Pool>self.pools[key]).retire()
            self.retired.append(self.pools[key])
        self.pools = pools
        self.bulkheads = bulkheads
        if self.plan is not None and self.plan.auth != compiled.auth:
            self.credentials.clear()
        if self.plan is not None:
            compiled.overload.go_on_from(self.plan.overload)
        self.plan = compiled

    def share_limits(self, store) -> None:
        """Takes what decides about limits that all hosts share: see `gateway.limits.store`."""
        self.limit_store = store
        self.lanes = store.lanes

    def limit_store_is(self, away: bool, whole: bool, hosts: int) -> None:
        """What the store has found out about itself: whether all of it is away, or nothing."""
        self.limit_store_away = away
        self.hosts = hosts
        gw_metrics_set(self.region, GW_RATE_LIMIT_FALLBACK, not whole)

    def forget_credentials(self) -> None:
        """What was verified so far may no longer hold: have each credential verified anew."""
        self.credentials.clear()

    # --- connections ------------------------------------------------------------------------------

    def listen(self, listening) -> None:
        """Accepts connections from a listening, non-blocking socket, which stays the caller's."""
        self.listener = Listener(self, listening)

    def stop_listening(self) -> None:
        """Accepts what is in the socket's queue already, and no more."""
        if self.listener is not None:
            self.listener.accept_rest()
            self.listener.stop()
            self.listener = None

    cdef void accepted(self, int fd, const sockaddr* peer) noexcept:
        cdef Http1Downstream downstream = Http1Downstream(self)
        downstream.open(fd, peer)

    cdef void connected(self, Downstream downstream) noexcept:
        self.connections_accepted += 1
        self.connections += 1
        self.downstreams.add(downstream)

    cdef void disconnected(self, Downstream downstream) noexcept:
        self.connections -= 1
        self.downstreams.discard(downstream)

    cdef void spawn(self, coroutine) noexcept:
        """Runs a coroutine; holds it, since the loop does not."""
        task = self.loop.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def drain(self) -> None:
        """No further requests: idle connections close now, the others after their answer."""
        self.draining = True
        for downstream in list(self.downstreams):
            (<Downstream>downstream).drain()

    def close(self) -> None:
        """Ends everything that is left, and the tick; hands over what was counted and logged so far.
        The loop has to turn once more for it. May be called again."""
        if self.tick_handle is not None:
            self.tick_handle.cancel()
            self.tick_handle = None
        for downstream in list(self.downstreams):
            (<Downstream>downstream).drop()
        for copies in self.copies.values():
            for copy in list(copies):
                (<Exchange>copy).finish()
        for pool in self.pools.values():
            (<Pool>pool).retire()
        if self.listener is not None:
            self.listener.stop()
            self.listener = None
        self.poller.close()
        self.publish()
        if self.access_log is not None:
            self.access_log.flush()

    # --- time and counting ------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the tick: timeouts, heartbeat, gauges, log flush."""
        self.tick()

    def tick(self):
        self.tick_handle = self.loop.call_later(TICK_S, self.tick)
        self.clock.advance()
        self.measure_lag()
        if self.listener is not None:
            self.listener.go_on()
        gw_segment_beat(self.region, self.clock.now_ms)
        for service in self.plan.services:
            if (<Service>service).endpoints != NULL:
                self.refresh(<Service>service)
        self.publish()
        if self.access_log is not None:
            self.access_log.flush()

    cdef void refresh(self, Service service) noexcept:
        cdef int32_t slow = gw_endpoints_refresh(service.endpoints, self.clock.now_ms)
        if slow >= 0:
            gw_metrics_service_add(self.region, service.label, GW_UPSTREAM_EJECTIONS_TOTAL, 1)
            log.warning("%s of %s is left out for a while: it is much slower than the others",
                        (<Pool>service.pools[slow]).url, service.name)

    cdef void measure_lag(self) noexcept:
        """How late this tick is: so long did whatever was ready wait."""
        cdef uint64_t now_us = self.clock.now_ns // 1000
        cdef uint64_t lag_us = 0
        if self.tick_due_us and now_us > self.tick_due_us:
            lag_us = now_us - self.tick_due_us
        self.tick_due_us = now_us + <uint64_t>(1e6 * TICK_S)
        self.plan.overload.tick(lag_us)
        gw_metrics_set(self.region, GW_LOOP_LAG_MICROSECONDS, lag_us)

    cdef void publish(self) noexcept:
        """Adds to the segment what has been counted since the last tick."""
        gw_metrics_add(self.region, GW_CONNECTIONS_ACCEPTED_TOTAL, <int64_t>self.connections_accepted)
        gw_metrics_add(self.region, GW_CONNECTIONS_REFUSED_TOTAL, <int64_t>self.connections_refused)
        gw_metrics_add(self.region, GW_BAD_REQUESTS_TOTAL, <int64_t>self.bad_requests)
        gw_metrics_add(self.region, GW_BYTES_RECEIVED_TOTAL, <int64_t>self.bytes_received)
        gw_metrics_add(self.region, GW_BYTES_SENT_TOTAL, <int64_t>self.bytes_sent)
        self.connections_accepted = self.connections_refused = self.bad_requests = 0
        gw_metrics_add(self.region, GW_RATE_LIMIT_FALLBACK_DECISIONS_TOTAL, <int64_t>self.fallback_decisions)
        gw_metrics_add(self.region, GW_RATE_LIMIT_LEASE_TOKENS_USED_TOTAL, <int64_t>self.lease_tokens_used)
        gw_metrics_add(self.region, GW_REQUESTS_SHED_TOTAL, <int64_t>self.shed)
        self.bytes_received = self.bytes_sent = self.fallback_decisions = 0
        self.lease_tokens_used = self.shed = 0
        gw_metrics_set(self.region, GW_CONNECTIONS_ACTIVE, self.connections)
        gw_metrics_set(self.region, GW_REQUESTS_IN_FLIGHT, <uint64_t>self.exchanges)
        gw_metrics_set(self.region, GW_PLAN_GENERATION, self.plan.generation)
        for pool in self.pools.values():
            (<Pool>pool).publish()
        for pool in self.retired:
            (<Pool>pool).publish()
        if self.retired:
            self.retired = [pool for pool in self.retired if (<Pool>pool).open or (<Pool>pool).queued]

    def take_usage(self) -> list:
        """Uses of API keys since the last call: (id of the key, path of the route, requests)."""
        cdef list usage = []
        for principal in self.used:
            for label, count in (<Principal>principal).take_uses().items():
                usage.append(((<Principal>principal).key, self.segment.label(label), count))
        self.used = []
        return usage

    def take_refused(self) -> list:
        """Refusals by rate limits since the last call: (policy, caller, requests)."""
        refused, self.refused = self.refused, {}
        return [(policy, caller, count) for (policy, caller), count in refused.items()]

    cdef void record(self, Exchange exchange) noexcept:
        """The end of every exchange: metrics and access log."""
        cdef uint64_t duration_ns = self.clock.now_ns - exchange.started_ns
        cdef uint32_t service_label = exchange.route.service_label
        if exchange.service is not None:
            service_label = exchange.service.label
        if exchange.principal is not None and exchange.principal.key_hash:
            if exchange.principal.count_use(exchange.route.label):
                self.used.append(exchange.principal)
        gw_metrics_observe(self.region, exchange.route.label, service_label,
                           exchange.method_id, <uint32_t>exchange.status, duration_ns)
        if self.access_log is not None:
            self.access_log.write(exchange, self.clock.wall_ns(), duration_ns)

    cdef uint64_t random(self) noexcept:
        """splitmix64 (Steele, Lea, Flood 2014): for balancing and ids, not for secrets."""
        cdef uint64_t mixed
        self.random_state += 0x9E3779B97F4A7C15ULL
        mixed = self.random_state
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9ULL
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBULL
        return mixed ^ (mixed >> 31)

    cdef uint32_t make_id(self, char* out) noexcept:
        """Writes 128 random bits as 32 hexadecimal digits; returns their number."""
        cdef uint64_t bits
        cdef int half, i
        for half in range(2):
            bits = self.random()
            for i in range(8):
                memcpy(out + 16 * half + 2 * i, HEX_PAIRS + 2 * (bits & 255), 2)
                bits >>= 8
        return 32
