"""One worker's data plane: what all of its connections share."""

from libc.stdint cimport uint32_t, uint64_t

from gateway.cext.access_log cimport AccessLog
from gateway.cext.address cimport sockaddr
from gateway.cext.authentication cimport Credentials
from gateway.cext.clock cimport Clock
from gateway.cext.exchange cimport Exchange
from gateway.cext.listener cimport Listener
from gateway.cext.judgement cimport Judgement
from gateway.cext.native cimport GwRegion, GwSegment
from gateway.cext.plan cimport Plan
from gateway.cext.poller cimport Poller
from gateway.cext.service cimport Service
from gateway.cext.sides cimport Downstream


cdef class Worker:
    cdef readonly object loop
    cdef object segment
    cdef const GwSegment* segment_address
    cdef int slot
    cdef const GwRegion* region
    cdef object authenticator       # (kind, credential, peer, fingerprint) -> awaitable, or None
    cdef Credentials credentials
    cdef list used                  # principals with an API key that have been used since the last report
    cdef dict refused               # (policy, caller) -> refusals since the last report
    cdef Clock clock
    cdef Poller poller
    cdef Listener listener          # or None
    cdef readonly Plan plan
    cdef AccessLog access_log       # or None
    cdef dict labels                # label ids of what no plan names
    cdef dict pools                 # (service, url) -> Pool
    cdef dict bulkheads             # service -> Bulkhead
    cdef dict copies                # label of a mirror's service -> set of Copy under way
    cdef list retired               # pools that no plan names any more and that are not empty
    cdef set downstreams            # of open Downstream
    cdef set tasks                  # look-ups under way
    cdef object tick_handle
    cdef uint64_t tick_due_us       # when the next tick is not late
    cdef readonly bint draining
    cdef readonly uint32_t connections
    cdef readonly int exchanges
    cdef uint64_t random_state
    cdef Judgement judgement        # for the next request that is limited
    cdef object limit_store         # decides what all hosts share, or None
    cdef list lanes                 # Lane: the questions to it
    cdef bint limit_store_away      # … and is not there
    cdef uint32_t hosts             # that share limits

    # Counted here, added to the segment on the tick
    cdef uint64_t connections_accepted
    cdef uint64_t connections_refused
    cdef uint64_t bad_requests
    cdef uint64_t bytes_received
    cdef uint64_t bytes_sent
    cdef uint64_t fallback_decisions
    cdef uint64_t lease_tokens_used
    cdef uint64_t shed

    cdef uint64_t random(self) noexcept
    cdef uint32_t make_id(self, char* out) noexcept
    cdef void spawn(self, coroutine) noexcept
    cdef void accepted(self, int fd, const sockaddr* peer) noexcept
    cdef void connected(self, Downstream downstream) noexcept
    cdef void disconnected(self, Downstream downstream) noexcept
    cdef void record(self, Exchange exchange) noexcept
    cdef void refresh(self, Service service) noexcept
    cdef void publish(self) noexcept
    cdef void measure_lag(self) noexcept
