"""Keep-alive connections to one endpoint, as a state machine with an explicit state for each."""

from libc.stdint cimport uint32_t, uint64_t

from gateway.cext.exchange cimport Exchange
from gateway.cext.plan cimport Verdict
from gateway.cext.refusal cimport Code
from gateway.cext.sides cimport Upstream
from gateway.cext.worker cimport Worker


cdef enum ConnectionState:
    DIALING         # not yet connected
    IDLE            # on the stack, ready
    BUSY            # belongs to an exchange
    CLOSED          # no longer counted


cdef class Pool:
    cdef Worker worker
    cdef readonly str url
    cdef bytes log_url              # the same as a JSON string
    cdef bytes authority            # Host for a request that had none (HTTP/1.0)
    cdef object host
    cdef object port
    cdef list addresses             # of `sockaddr`; None when a name has to be looked up for each dial
    cdef uint32_t service_label
    cdef int max_connections
    cdef int max_queue
    cdef uint64_t pool_idle_ms      # how long an idle connection is kept
    cdef uint64_t connect_ms
    cdef uint64_t response_ms       # request sent -> response head; 0 = none
    cdef uint64_t stream_idle_ms    # between two reads of a response; 0 = none
    cdef bint retired               # left by the plan: finishes what runs, keeps nothing

    cdef list idle                  # of Upstream; the last one in is the first one out
    cdef readonly int open          # connections in any state but CLOSED
    cdef int dialing
    cdef object queue               # deque of (Exchange, serial), oldest first
    cdef readonly int queued        # of those, the ones that still wait

    cdef uint64_t reused            # counted here, published on the tick
    cdef uint64_t published_reused
    cdef int published_active
    cdef int published_idle
    cdef int published_queued

    cdef void configure(self, dict service) noexcept
    cdef Verdict acquire(self, Exchange exchange, bint fresh) noexcept
    cdef bint has_room(self) noexcept
    cdef void leave_queue(self) noexcept
    cdef void release(self, Upstream upstream) noexcept
    cdef void forget(self, Upstream upstream) noexcept
    cdef void dialed(self, Upstream upstream) noexcept
    cdef void dial_failed(self, Code code) noexcept
    cdef void start_dials(self) noexcept
    cdef Exchange next_waiting(self)
    cdef void count(self, uint32_t counter) noexcept
    cdef void count_retry(self) noexcept
    cdef void publish(self) noexcept
    cdef void retire(self) noexcept
