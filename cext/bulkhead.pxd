"""Bounds the exchanges that a service has at the same time in one worker."""

from libc.stdint cimport uint64_t

from gateway.cext.exchange cimport Exchange
from gateway.cext.plan cimport Verdict
from gateway.cext.worker cimport Worker


cdef class Bulkhead:
    cdef Worker worker
    cdef int max_requests           # this worker's share
    cdef int max_queue
    cdef uint64_t queue_ms
    cdef readonly int running
    cdef readonly int queued
    cdef bint admitting             # within `admit_next`
    cdef object queue               # deque of (Exchange, serial), oldest first
    cdef void configure(self, dict spec, int workers) noexcept
    cdef Verdict enter(self, Exchange exchange) noexcept
    cdef void leave(self, Exchange exchange) noexcept
    cdef void admit_next(self) noexcept
    cdef bint is_stale(self, entry) noexcept
