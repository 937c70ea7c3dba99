"""The data plane's own epoll, nested in the event loop: the loop sees one descriptor, readable when any
socket has an event, and calls `pump` once for all of them.

Sockets are added once, edge-triggered and for both directions, and never modified: a request costs no
epoll_ctl. An edge is told once, so whoever leaves bytes unread must ask for a turn to go on.

Nobody is told of a closed socket while somebody else's code runs: the news waits for the end of the batch.
Until then the poller holds the socket, so that an event of the same batch never points to freed memory.
"""

from libc.errno cimport errno
from libc.string cimport memset

cdef extern from "<sys/epoll.h>" nogil:
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int operation, int fd, epoll_event* event)
    int epoll_wait(int epfd, epoll_event* events, int count, int timeout_ms)
    int EPOLL_CLOEXEC
    int EPOLL_CTL_ADD
    int EPOLL_CTL_DEL
    int EPOLL_CTL_MOD
cdef extern from "<unistd.h>" nogil:
    int c_close "close"(int fd)

cdef enum:
    # Events for each pump; then the loop's own timers and descriptors have their turn.
    BATCH = 256


cdef class Socket:
    def __cinit__(self):
        self.fd = -1

    cdef void on_events(self, uint32_t events) noexcept:
        """Something happened on the descriptor."""
        raise NotImplementedError

    cdef void on_turn(self) noexcept:
        """The turn that was asked for."""
        raise NotImplementedError

    cdef void on_closed(self) noexcept:
        """The descriptor is closed, and nobody else's code is running."""
        raise NotImplementedError


cdef class Poller:
    def __cinit__(self, loop):
        self.loop = loop
        self.sockets = set()
        self.turns = []
        self.closed = []
        self.epfd = epoll_create1(EPOLL_CLOEXEC)
        if self.epfd < 0:
            raise OSError(errno, "epoll_create1")
        loop.add_reader(self.epfd, self.pump)

    def __dealloc__(self):
        if self.epfd >= 0:
            c_close(self.epfd)

    cdef int add(self, Socket watched, uint32_t events) noexcept:
        """Watches an open descriptor; returns 0 or the error's number."""
        self.sockets.add(watched)
        return self.control(EPOLL_CTL_ADD, watched, events)

    cdef int modify(self, Socket watched, uint32_t events) noexcept:
        return self.control(EPOLL_CTL_MOD, watched, events)

    cdef void remove(self, Socket watched) noexcept:
        """Lets go of a descriptor that stays open. (close(2) does it for the others.)"""
        self.control(EPOLL_CTL_DEL, watched, 0)
        self.announce_closed(watched)

    cdef int control(self, int operation, Socket watched, uint32_t events) noexcept:
        cdef epoll_event event
        memset(&event, 0, sizeof(event))
        event.events = events
        event.data.ptr = <void*>watched
        return errno if epoll_ctl(self.epfd, operation, watched.fd, &event) else 0

    cdef void give_turn(self, Socket watched) noexcept:
        """Calls `on_turn` in the next pump."""
        if not watched.has_turn:
            watched.has_turn = True
            self.turns.append(watched)
            self.schedule()

    cdef void announce_closed(self, Socket watched) noexcept:
        """Calls `on_closed` at the end of the batch, or in the next one."""
        self.closed.append(watched)
        self.schedule()

    cdef void schedule(self) noexcept:
        if not (self.pumping or self.scheduled or self.epfd < 0):
            self.scheduled = True
            self.loop.call_soon(self.pump)

    # --- the loop's callback ----------------------------------------------------------------------

    def pump(self):
        """One batch of events, then whoever has a turn, then the news of what was closed."""
        cdef list turns = self.turns
        self.scheduled = False
        if self.epfd < 0:
            return
        self.pumping = True
        if turns:
            self.turns = []
        self.run_batch()
        if turns is not self.turns:
            self.run_turns(turns)
        self.tell_closed()
        self.pumping = False
        if self.turns:
            self.schedule()

    cdef void run_batch(self) noexcept:
        cdef epoll_event events[BATCH]
        cdef Socket watched
        cdef int i
        cdef int count = epoll_wait(self.epfd, events, BATCH, 0)
        for i in range(count):
            watched = <Socket>events[i].data.ptr
            if watched.fd >= 0:
                watched.on_events(events[i].events)

    cdef void run_turns(self, list turns) noexcept:
        cdef Socket watched
        for watched in turns:
            watched.has_turn = False
            watched.on_turn()

    cdef void tell_closed(self) noexcept:
        """Being told may close further ones; they are told too."""
        cdef Socket watched
        while self.closed:
            watched = <Socket>self.closed.pop(0)
            self.sockets.discard(watched)
            watched.on_closed()

    # --- the end ----------------------------------------------------------------------------------

    cdef void close(self) noexcept:
        """Leaves the loop in its next turn, when everybody has heard of what is closed by now."""
        self.loop.call_soon(self.leave)

    def leave(self):
        if self.epfd < 0:
            return
        self.pumping = True
        self.tell_closed()
        self.loop.remove_reader(self.epfd)
        c_close(self.epfd)
        self.epfd = -1
        self.pumping = False
