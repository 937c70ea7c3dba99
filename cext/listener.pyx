"""Accepts connections, some at a time, and leaves them in the kernel's queue while there is no room."""

from libc.errno cimport EAGAIN, EBADF, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM, errno

import socket

from gateway.cext.address cimport sockaddr, sockaddr_storage, socklen_t
from gateway.cext.poller cimport EPOLLIN

cdef extern from "<sys/socket.h>" nogil:
    int accept4(int fd, sockaddr* address, socklen_t* size, int flags)
    int SOCK_NONBLOCK
    int SOCK_CLOEXEC

cdef enum:
    # Connections for each event; the ones that are open have their turn in between.
    ACCEPT_BATCH = 64
    # More than any queue holds (net.core.somaxconn is 4096)
    WHOLE_QUEUE = 65536


cdef class Listener(Socket):
    def __init__(self, Worker worker, listening):
        """Raises OSError when the socket cannot be watched."""
        self.worker = worker
        self.poller = worker.poller
        self.listening = listening
        self.fd = listening.fileno()
        if listening.family != socket.AF_UNIX:
            # Accepted sockets inherit it, without a system call for each (Linux).
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Level-triggered: what one batch leaves is reported again.
        error = self.poller.add(self, EPOLLIN)
        if error:
            raise OSError(error, "epoll_ctl")

    cdef void on_events(self, uint32_t events) noexcept:
        self.accept_some(ACCEPT_BATCH)

    cdef void accept_rest(self) noexcept:
        """What the kernel has completed already; it would be reset when the socket closes."""
        self.accept_some(WHOLE_QUEUE)

    cdef void accept_some(self, int most) noexcept:
        cdef sockaddr_storage peer
        cdef socklen_t size
        cdef int fd
        for _ in range(most):
            size = sizeof(peer)
            fd = accept4(self.fd, <sockaddr*>&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC)
            if fd >= 0:
                self.worker.accepted(fd, <sockaddr*>&peer)
            elif errno == EAGAIN:
                return
            elif errno in (EMFILE, ENFILE, ENOBUFS, ENOMEM, EBADF, EINVAL):
                self.backing_off = True
                self.poller.modify(self, 0)
                return
            # Anything else is an error of that connection, which is gone (ECONNABORTED).

    cdef void go_on(self) noexcept:
        """Called on the tick: looks again after a shortage, which would else be reported without end."""
        if self.backing_off:
            self.backing_off = False
            self.poller.modify(self, EPOLLIN)

    cdef void stop(self) noexcept:
        self.poller.remove(self)
        self.fd = -1

    cdef void on_closed(self) noexcept:
        pass
