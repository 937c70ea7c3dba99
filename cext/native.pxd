# The C face of the Rust structures (native/src/capi.rs). tools/check_capi.py compares the two.
#
# Plain `cdef extern` declarations: Cython writes the C prototypes and structs itself. Only opaque
# types need a line of C.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

# ---- Paths and routes ----------------------------------------------------------------------------

cdef extern from *:
    """
    typedef struct GwRoutes GwRoutes;
    """
    ctypedef struct GwRoutes:
        pass

# A header field: offsets into `arena`; the name as received, in any case.
ctypedef struct GwField:
    uint32_t name_off
    uint32_t name_len
    uint32_t value_off
    uint32_t value_len
    uint32_t id

# host: lower case, no port. path: canonical. query: without '?'.
ctypedef struct GwRequest:
    const uint8_t *method
    const uint8_t *host
    const uint8_t *path
    const uint8_t *query
    size_t method_len
    size_t host_len
    size_t path_len
    size_t query_len
    const uint8_t *arena
    const GwField *fields
    size_t field_count

ctypedef struct GwMatch:
    uint32_t route

# What gw_routes_match returns.
cdef enum:
    GW_FOUND = 0
    GW_NOT_FOUND = 1
    GW_METHOD_NOT_ALLOWED = 2

# What gw_path_normalize returns, negated.
cdef enum:
    GW_PATH_BAD_ESCAPE = 1
    GW_PATH_NUL = 2
    GW_PATH_CONTROL = 3
    GW_PATH_BACKSLASH = 4
    GW_PATH_ENCODED_SLASH = 5
    GW_PATH_DOUBLE_ENCODING = 6
    GW_PATH_NOT_UTF8 = 7
    GW_PATH_ABOVE_ROOT = 8
    GW_PATH_FRAGMENT = 9
    GW_PATH_NOT_ABSOLUTE = 10
    GW_PATH_NO_ROOM = 11

cdef extern int32_t gw_routes_match(
    const GwRoutes *routes, const GwRequest *request, GwMatch *out) noexcept nogil

# Writes a text such as "GET, HEAD" and returns its length (<= cap; what finds no room is left out).
cdef extern size_t gw_routes_allow(
    const GwRoutes *routes, const GwRequest *request, uint8_t *out, size_t cap) noexcept nogil

# The length of the canonical path in out (cap >= 3 * len is enough), or an error as above.
cdef extern int64_t gw_path_normalize(
    const uint8_t *path, size_t len, uint8_t *out, size_t cap, uint32_t keep_encoded_slash,
) noexcept nogil

# ---- Endpoints, breaker --------------------------------------------------------------------------

cdef extern from *:
    """
    typedef struct GwEndpoints GwEndpoints;
    typedef struct GwBreaker GwBreaker;
    """
    # EndpointSet.address, valid while that object is held.
    ctypedef struct GwEndpoints:
        pass
    # Breaker.address, valid while that object is held.
    ctypedef struct GwBreaker:
        pass

# What a breaker says to a request.
ctypedef struct GwAdmission:
    uint32_t ticket             # for gw_breaker_report
    int32_t entered             # GwBreakerState that it changed to with this request, or -1
    uint64_t retry_after_ms     # 0 = admitted

cdef enum GwBreakerState:
    GW_BREAKER_CLOSED = 0
    GW_BREAKER_OPEN = 1
    GW_BREAKER_HALF_OPEN = 2

cdef enum GwOutcome:
    GW_SUCCESS = 0
    GW_FAILURE = 1
    GW_ABANDONED = 2

# Index of an endpoint, or -1: none may be used. random: 64 uniform bits. hash: of gw_hash_key, for
# consistent hashing. tried: those that failed this request.
cdef extern int32_t gw_endpoints_pick(
    const GwEndpoints *endpoints, uint64_t now_ms, uint64_t random, uint64_t hash,
    const uint32_t *tried, size_t tried_count) noexcept nogil

# Index of the endpoint with this gw_endpoints_key, or -1: there is none, or it may not be used.
cdef extern int32_t gw_endpoints_find(
    const GwEndpoints *endpoints, uint64_t now_ms, uint64_t key) noexcept nogil

cdef extern uint64_t gw_endpoints_key(const GwEndpoints *endpoints, uint32_t index) noexcept nogil

# A request goes to a picked endpoint; ended once.
cdef extern void gw_endpoints_begin(const GwEndpoints *endpoints, uint32_t index) noexcept nogil

cdef extern void gw_endpoints_end(const GwEndpoints *endpoints, uint32_t index) noexcept nogil

# 1: the endpoint has been ejected for it.
cdef extern uint32_t gw_endpoints_report(
    const GwEndpoints *endpoints, uint32_t index, uint32_t failed, uint64_t latency_us,
    uint64_t now_ms) noexcept nogil

# A request to it was given up, because another endpoint answered first: it takes longer than that.
cdef extern void gw_endpoints_outrun(
    const GwEndpoints *endpoints, uint32_t index, uint64_t latency_us, uint64_t now_ms) noexcept nogil

# Called on the tick. Index of an endpoint that has been ejected for being slow, just now; or -1.
cdef extern int32_t gw_endpoints_refresh(
    const GwEndpoints *endpoints, uint64_t now_ms) noexcept nogil

cdef extern uint64_t gw_hash_key(const uint8_t *key, size_t len) noexcept nogil

cdef extern void gw_breaker_admit(
    const GwBreaker *breaker, uint64_t now_ms, GwAdmission *out) noexcept nogil

# outcome: GwOutcome. The GwBreakerState that it changed to with this report, or -1.
cdef extern int32_t gw_breaker_report(
    const GwBreaker *breaker, uint32_t ticket, uint32_t outcome, uint64_t now_ms, uint64_t random,
) noexcept nogil

cdef extern uint32_t gw_breaker_is_closed(const GwBreaker *breaker) noexcept nogil

# ---- Timer wheel, segment ------------------------------------------------------------------------

cdef extern from *:
    """
    typedef struct GwWheel GwWheel;
    typedef struct GwRegion GwRegion;
    typedef struct GwSegment GwSegment;
    typedef struct GwLru GwLru;
    """
    # Timeouts of one thread. Times are ms of one monotonic clock.
    ctypedef struct GwWheel:
        pass
    # Segment.worker_address(slot), valid while the Segment is held. One process writes to it.
    ctypedef struct GwRegion:
        pass
    # Segment.address, valid while the Segment is held.
    ctypedef struct GwSegment:
        pass

    # Which byte strings were seen lately. Of one thread.
    ctypedef struct GwLru:
        pass

# A hash under the instance's secret, the same in all its processes; never 0.
cdef extern uint64_t gw_segment_hash(
    const GwSegment *segment, const uint8_t *data, size_t len) noexcept nogil

cdef enum GwRevocationKind:
    GW_REVOKED_SESSION = 0
    GW_REVOKED_USER = 1
    GW_REVOKED_CLIENT = 2
    GW_REVOKED_KEY = 3

# Goes up whenever something is revoked.
cdef extern uint64_t gw_revocations_epoch(const GwSegment *segment) noexcept nogil

# 1 if what was issued at issued_s (Unix time) to a name is refused. hash: by gw_segment_hash.
cdef extern uint32_t gw_is_revoked(
    const GwSegment *segment, uint32_t kind, uint64_t hash, uint64_t issued_s) noexcept nogil

# Slots are numbers from 1 to max_entries; 0 stands for none.
cdef extern GwLru *gw_lru_new(
    const GwSegment *segment, uint32_t max_entries, size_t max_bytes) noexcept nogil

cdef extern void gw_lru_free(GwLru *lru) noexcept nogil

cdef extern uint32_t gw_lru_find(GwLru *lru, const uint8_t *data, size_t len) noexcept nogil

# A slot that is given up so that a string of len bytes finds room. Call again until it is 0.
cdef extern uint32_t gw_lru_evict_for(GwLru *lru, size_t len) noexcept nogil

cdef extern uint32_t gw_lru_insert(GwLru *lru, const uint8_t *data, size_t len) noexcept nogil

cdef extern void gw_lru_remove(GwLru *lru, uint32_t slot) noexcept nogil

cdef extern GwWheel *gw_wheel_new(uint64_t now_ms) noexcept nogil

cdef extern void gw_wheel_free(GwWheel *wheel) noexcept nogil

# A handle, valid until it is removed; never UINT32_MAX and never 0. It fires never early, and at
# most one tick (100 ms) late.
cdef extern uint32_t gw_wheel_insert(GwWheel *wheel, uint64_t due_ms) noexcept nogil

# A later due time is only a store. Arms a handle that has fired.
cdef extern void gw_wheel_update(GwWheel *wheel, uint32_t handle, uint64_t due_ms) noexcept nogil

cdef extern void gw_wheel_remove(GwWheel *wheel, uint32_t handle) noexcept nogil

# How many handles were written to due; they are disarmed and stay valid. Call again while that is
# cap (> 0). Entries may be inserted, updated and removed between the calls.
cdef extern size_t gw_wheel_advance(
    GwWheel *wheel, uint64_t now_ms, uint32_t *due, size_t cap) noexcept nogil

# Counts a finished request. Labels: ids from Segment.intern. method: GwMethod. status: to 65535.
cdef extern void gw_metrics_observe(
    const GwRegion *region, uint32_t route_label, uint32_t service_label, uint32_t method,
    uint32_t status, uint64_t duration_ns) noexcept nogil

# counter: GwCounter. delta: may be negative for a gauge.
cdef extern void gw_metrics_add(
    const GwRegion *region, uint32_t counter, int64_t delta) noexcept nogil

cdef extern void gw_metrics_set(
    const GwRegion *region, uint32_t gauge, uint64_t value) noexcept nogil

# counter: GwServiceCounter.
cdef extern void gw_metrics_service_add(
    const GwRegion *region, uint32_t service_label, uint32_t counter, int64_t delta,
) noexcept nogil

# Share of a part of a split in permille; -1: as configured.
cdef extern int32_t gw_split_share(const GwSegment *segment, uint32_t place) noexcept nogil

# Takes a latency into the quantile (permille) that is kept for a service.
cdef extern void gw_latency_observe(
    const GwSegment *segment, uint32_t label, uint32_t permille, uint64_t latency_us) noexcept nogil

# That quantile, µs; -1: not known yet.
cdef extern int64_t gw_latency_quantile(const GwSegment *segment, uint32_t label) noexcept nogil

cdef extern void gw_segment_beat(const GwRegion *region, uint64_t now_ms) noexcept nogil

# Rows of the tables in native/core/src/metrics.rs, in their order (tests compare them).

cdef enum GwMethod:
    GW_METHOD_GET = 0
    GW_METHOD_HEAD = 1
    GW_METHOD_POST = 2
    GW_METHOD_PUT = 3
    GW_METHOD_DELETE = 4
    GW_METHOD_PATCH = 5
    GW_METHOD_OPTIONS = 6
    GW_METHOD_OTHER = 7

cdef enum GwCounter:
    GW_CONNECTIONS_ACCEPTED_TOTAL = 0
    GW_CONNECTIONS_ACTIVE = 1
    GW_CONNECTIONS_REFUSED_TOTAL = 2
    GW_REQUESTS_IN_FLIGHT = 3
    GW_BAD_REQUESTS_TOTAL = 4
    GW_BYTES_RECEIVED_TOTAL = 5
    GW_BYTES_SENT_TOTAL = 6
    GW_ACCESS_LOG_DROPPED_TOTAL = 7
    GW_PLAN_GENERATION = 8
    GW_WORKER_RESTARTS_TOTAL = 9
    GW_RELOADS_TOTAL = 10
    GW_RELOAD_FAILURES_TOTAL = 11
    GW_METRICS_OVERFLOW_TOTAL = 12
    GW_RATE_LIMIT_STORE_CALLS_TOTAL = 13
    GW_RATE_LIMIT_STORE_FAILURES_TOTAL = 14
    GW_RATE_LIMIT_STORE_MICROSECONDS_TOTAL = 15
    GW_RATE_LIMIT_FALLBACK_DECISIONS_TOTAL = 16
    GW_RATE_LIMIT_FALLBACK = 17
    GW_RATE_LIMIT_LEASE_TOKENS_GRANTED_TOTAL = 18
    GW_RATE_LIMIT_LEASE_TOKENS_USED_TOTAL = 19
    GW_RATE_LIMIT_LEASE_TOKENS_RETURNED_TOTAL = 20
    GW_REQUESTS_SHED_TOTAL = 21
    GW_LOOP_LAG_MICROSECONDS = 22

cdef enum GwServiceCounter:
    GW_UPSTREAM_CONNECTS_TOTAL = 0
    GW_UPSTREAM_CONNECT_FAILURES_TOTAL = 1
    GW_UPSTREAM_REUSED_TOTAL = 2
    GW_UPSTREAM_RETRIES_TOTAL = 3
    GW_UPSTREAM_RESETS_TOTAL = 4
    GW_UPSTREAM_CONNECTIONS_ACTIVE = 5
    GW_UPSTREAM_CONNECTIONS_IDLE = 6
    GW_UPSTREAM_QUEUE = 7
    GW_UPSTREAM_QUEUE_FULL_TOTAL = 8
    GW_UPSTREAM_RETRIES_DENIED_TOTAL = 9
    GW_UPSTREAM_EJECTIONS_TOTAL = 10
    GW_CIRCUIT_BREAKER_OPENED_TOTAL = 11
    GW_CIRCUIT_BREAKER_REFUSED_TOTAL = 12
    GW_BULKHEAD_REFUSED_TOTAL = 13
    GW_FALLBACKS_TOTAL = 14
    GW_UPSTREAM_HEDGES_TOTAL = 15
    GW_UPSTREAM_HEDGES_WON_TOTAL = 16
    GW_UPSTREAM_HEDGES_FAILED_TOTAL = 17
    GW_MIRRORED_TOTAL = 18
    GW_MIRROR_DROPPED_TOTAL = 19
    GW_MIRROR_FAILED_TOTAL = 20
    GW_CIRCUIT_BREAKER_HALF_OPENED_TOTAL = 21
    GW_CIRCUIT_BREAKER_CLOSED_TOTAL = 22

cdef enum GwLimitCounter:
    GW_RATE_LIMIT_ALLOWED_TOTAL = 0
    GW_RATE_LIMIT_EXCEEDED_TOTAL = 1
    GW_RATE_LIMIT_DRY_RUN_TOTAL = 2

# ---- Limits --------------------------------------------------------------------------------------

cdef extern from *:
    """
    typedef struct GwLimits GwLimits;
    """
    # Limits.address, valid while that object is held.
    ctypedef struct GwLimits:
        pass

# May key have weight more under a rule? enforced 0: only counted.
ctypedef struct GwAsk:
    uint32_t rule
    uint32_t weight
    uint32_t enforced
    uint32_t reserved
    uint64_t key

# A lease that is refused with retry_ns 0 does not know: ask the store.
ctypedef struct GwQuota:
    uint32_t allowed
    uint32_t wants_more
    uint64_t remaining
    uint64_t reset_ns
    uint64_t retry_ns

# 1 if all enforced rules allow it, and then each has it; else 0, and none of them has.
cdef extern uint32_t gw_limits_acquire(
    const GwSegment *segment, const GwLimits *limits, const GwAsk *asks, size_t count,
    uint64_t now_ns, GwQuota *out) noexcept nogil

# Gives back what gw_limits_acquire with the same now_ns has taken.
cdef extern void gw_limits_refund(
    const GwSegment *segment, const GwLimits *limits, const GwAsk *asks, size_t count,
    uint64_t now_ns, const GwQuota *quotas) noexcept nogil

# Takes what a request has cost beyond what was asked for, whether it fits or not.
cdef extern void gw_limits_charge(
    const GwSegment *segment, const GwLimits *limits, const GwAsk *ask, uint64_t now_ns,
) noexcept nogil

# 1 if fewer than limit requests of key are under way, and this one is now.
cdef extern uint32_t gw_in_flight_enter(
    const GwSegment *segment, uint64_t key, uint32_t slot, uint64_t limit, uint64_t now_ns,
) noexcept nogil

cdef extern void gw_in_flight_leave(
    const GwSegment *segment, uint64_t key, uint32_t slot, uint64_t now_ns) noexcept nogil

# counter: GwLimitCounter.
cdef extern void gw_metrics_limit_add(
    const GwRegion *region, uint32_t policy_label, uint32_t route_label, uint32_t counter,
    int64_t delta) noexcept nogil
