"""Readiness of a worker's sockets: one epoll descriptor inside the event loop's own."""

from libc.stdint cimport uint32_t

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        void* ptr
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    uint32_t EPOLLIN
    uint32_t EPOLLOUT
    uint32_t EPOLLRDHUP
    uint32_t EPOLLERR
    uint32_t EPOLLHUP
    uint32_t EPOLLET

cdef enum:
    # One receive takes at most this; a larger message takes turns with the other sockets.
    INBOX_BYTES = 65536


cdef class Socket:
    """A descriptor that a poller watches."""
    cdef Poller poller
    cdef int fd                     # -1 once closed: a number may belong to somebody else by then
    cdef bint has_turn              # on the poller's list for the next pump
    cdef void on_events(self, uint32_t events) noexcept
    cdef void on_turn(self) noexcept
    cdef void on_closed(self) noexcept


cdef class Poller:
    cdef object loop
    cdef int epfd                   # -1 once closed
    cdef set sockets                # all that are watched, and the closed ones until they know it
    cdef list turns                 # of Socket: have more to do, without a further event
    cdef list closed                # of Socket: to be told at the end of the batch
    cdef bint pumping
    cdef bint scheduled
    cdef char inbox[INBOX_BYTES]    # what has just been received; the worker's one buffer for it
    cdef int add(self, Socket watched, uint32_t events) noexcept
    cdef int modify(self, Socket watched, uint32_t events) noexcept
    cdef int control(self, int operation, Socket watched, uint32_t events) noexcept
    cdef void remove(self, Socket watched) noexcept
    cdef void give_turn(self, Socket watched) noexcept
    cdef void announce_closed(self, Socket watched) noexcept
    cdef void schedule(self) noexcept
    cdef void run_batch(self) noexcept
    cdef void run_turns(self, list turns) noexcept
    cdef void tell_closed(self) noexcept
    cdef void close(self) noexcept
