"""What a worker that has too much to do lets in."""

from libc.stdint cimport uint64_t

cdef enum Criticality:
    SHEDDABLE
    NORMAL
    CRITICAL


cdef class Overload:
    cdef int in_flight              # most requests of this worker, 0 = any number
    cdef uint64_t lag_us            # of the loop, 0 = any
    cdef readonly double admitted   # share of normal requests that is let in, and 1 + that of sheddable ones

    cdef void go_on_from(self, Overload before) noexcept
    cdef bint is_set(self) noexcept
    cpdef void tick(self, uint64_t lag_us) noexcept
    cpdef bint admits(self, bint sheddable, int in_flight, uint64_t random) noexcept
