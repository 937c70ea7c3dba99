"""A listening socket of a worker."""

from libc.stdint cimport uint32_t

from gateway.cext.poller cimport Poller, Socket
from gateway.cext.worker cimport Worker


cdef class Listener(Socket):
    cdef Worker worker
    cdef object listening           # the Python socket; the descriptor is its
    cdef bint backing_off           # no descriptor or memory for another connection
    cdef void accept_some(self, int most) noexcept
    cdef void accept_rest(self) noexcept
    cdef void go_on(self) noexcept
    cdef void stop(self) noexcept
