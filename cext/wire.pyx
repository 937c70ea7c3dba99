"""A non-blocking socket, edge-triggered: the kernel is asked first, and the poller only when it has enough.

What the kernel does not take waits in `backlog`. From then on order demands that everything goes there, until
the poller reports room and it is empty. Non-blocking calls do not sleep, so none is interrupted (EINTR).
"""

from libc.errno cimport EAGAIN, EINPROGRESS, errno
from libc.string cimport memmove, memset

from gateway.cext.address cimport AF_UNIX, sockaddr, socklen_t
from gateway.cext.buffer cimport buffer_free, buffer_put, buffer_trim
from gateway.cext.poller cimport (
    EPOLLERR,
    EPOLLET,
    EPOLLHUP,
    EPOLLIN,
    EPOLLOUT,
    EPOLLRDHUP,
    INBOX_BYTES,
)

cdef extern from "<sys/socket.h>" nogil:
    int c_socket "socket"(int family, int type, int protocol)
    int c_connect "connect"(int fd, const sockaddr* address, socklen_t size)
    ssize_t c_recv "recv"(int fd, void* data, size_t size, int flags)
    ssize_t c_send "send"(int fd, const void* data, size_t size, int flags)
    struct iovec:
        void* iov_base
        size_t iov_len
    struct msghdr:
        iovec* msg_iov
        size_t msg_iovlen
    ssize_t sendmsg(int fd, const msghdr* message, int flags)
    struct linger:
        int l_onoff
        int l_linger
    int setsockopt(int fd, int level, int name, const void* value, socklen_t size)
    int getsockopt(int fd, int level, int name, void* value, socklen_t* size)
    int shutdown(int fd, int how)
    int SOL_SOCKET
    int SO_ERROR
    int SO_LINGER
    int SOCK_STREAM
    int SOCK_NONBLOCK
    int SOCK_CLOEXEC
    int SHUT_WR
    int MSG_NOSIGNAL
    int MSG_DONTWAIT
cdef extern from "<netinet/tcp.h>" nogil:
    int IPPROTO_TCP
    int TCP_NODELAY
cdef extern from "<unistd.h>" nogil:
    int c_close "close"(int fd)

cdef enum:
    # Up to here a copy into the gather buffer is cheaper than a second buffer in the system call.
    GATHER_BYTES = 16384
    # The owner is paused above the one and resumed at the other (asyncio's marks).
    HIGH_WATER = 65536
    LOW_WATER = 16384

cdef uint32_t WATCHED = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET
cdef uint32_t ENDED = EPOLLRDHUP | EPOLLHUP | EPOLLERR


cdef class Connection(Timed):
    cdef void dialed(self, int error) noexcept:
        """The end of a dial: connected (0), or the error's number."""
        raise NotImplementedError

    cdef void data_received(self, const char* data, size_t size) noexcept:
        """The bytes are the poller's, and gone after the call."""
        raise NotImplementedError

    cdef void eof_received(self) noexcept:
        """The peer sends no more; it may still read."""
        raise NotImplementedError

    cdef void connection_lost(self) noexcept:
        """Once, after the socket has been closed by either side."""
        raise NotImplementedError

    cdef void pause_writing(self) noexcept:
        raise NotImplementedError

    cdef void resume_writing(self) noexcept:
        raise NotImplementedError


cdef class Wire(Socket):
    def __dealloc__(self):
        if self.fd >= 0:
            c_close(self.fd)
        buffer_free(&self.out)
        buffer_free(&self.backlog)

    cdef void open(self, Poller poller, int fd, Connection owner) noexcept:
        """Takes an accepted socket, non-blocking."""
        self.poller = poller
        self.owner = owner
        self.fd = fd
        if poller.add(self, WATCHED):
            self.abort()

    cdef bint is_open(self) noexcept:
        return self.fd >= 0 and not self.closing

    # --- dialling ---------------------------------------------------------------------------------

    cdef void dial(self, Poller poller, bytes address, Connection owner) noexcept:
        """Connects to a `sockaddr`. The owner hears of it later, never from inside this call."""
        cdef const sockaddr* to = <const sockaddr*><const char*>address
        cdef int on = 1
        self.poller = poller
        self.owner = owner
        self.dialing = True
        self.fd = c_socket(to.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
        if self.fd < 0:
            self.dial_error = errno
        else:
            if to.sa_family != AF_UNIX:
                setsockopt(self.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on))
            if c_connect(self.fd, to, <socklen_t>len(address)) and errno != EINPROGRESS:
                self.dial_error = errno
            else:
                self.dial_error = poller.add(self, WATCHED)
        if self.dial_error:
            poller.give_turn(self)

    cdef void end_dial(self, int error) noexcept:
        cdef Connection owner = self.owner
        if error:
            self.abort()
        else:
            self.dialing = False
            # Bytes or an end that are here already are nobody's answer; they close the connection.
            self.receive()
        owner.dialed(error)

    # --- the poller's calls -----------------------------------------------------------------------

    cdef void on_events(self, uint32_t events) noexcept:
        cdef int error = 0
        cdef socklen_t size = sizeof(error)
        if events & ENDED:
            self.hung_up = True
        if events & (EPOLLIN | ENDED):
            self.readable = True
        if self.dialing:
            if events & (EPOLLOUT | ENDED):
                getsockopt(self.fd, SOL_SOCKET, SO_ERROR, &error, &size)
                self.end_dial(error)
            return
        if events & EPOLLOUT and self.backlog.size:
            self.send_backlog()
        self.receive()

    cdef void on_turn(self) noexcept:
        if self.dialing:
            if self.dial_error:
                self.end_dial(self.dial_error)
        else:
            self.receive()

    cdef void on_closed(self) noexcept:
        cdef Connection owner = self.owner
        self.owner = None
        if not self.dialing:
            owner.connection_lost()

    # --- reading ----------------------------------------------------------------------------------

    cdef void receive(self) noexcept:
        """One receive; with more behind it the others get their turn first."""
        cdef ssize_t size
        if not self.readable or self.reading_paused or self.eof or not self.is_open():
            return
        size = c_recv(self.fd, self.poller.inbox, INBOX_BYTES, MSG_DONTWAIT)
        if size > 0:
            # A short receive has emptied the queue, except for an end behind it.
            self.readable = size == INBOX_BYTES or self.hung_up
            self.owner.data_received(self.poller.inbox, <size_t>size)
            if self.readable and not self.reading_paused:
                self.poller.give_turn(self)
        elif size == 0:
            self.eof = True
            self.owner.eof_received()
        elif errno == EAGAIN:
            self.readable = False
        else:
            self.abort()

    cdef void pause_reading(self) noexcept:
        self.reading_paused = True

    cdef void resume_reading(self) noexcept:
        self.reading_paused = False
        if self.readable:
            self.poller.give_turn(self)

    # --- writing ----------------------------------------------------------------------------------

    cdef void write(self, const char* data, size_t size) noexcept:
        """Queues bytes for the next flush; large ones leave at once, without a copy."""
        if self.broken or not self.is_open():
            return
        if self.out.size + size <= GATHER_BYTES:
            buffer_put(&self.out, data, size)
        elif self.backlog.size:
            self.flush()
            self.keep(data, size)
        else:
            self.send_both(data, size)

    cdef void flush(self) noexcept:
        cdef ssize_t taken
        cdef size_t size = self.out.size
        if size == 0:
            return
        self.out.size = 0
        if self.broken or not self.is_open():
            return
        if self.backlog.size:
            self.keep(self.out.data, size)
            return
        taken = c_send(self.fd, self.out.data, size, MSG_NOSIGNAL | MSG_DONTWAIT)
        if taken == <ssize_t>size:
            self.add_sent(size)
            return
        taken = self.taken_or_abort(taken)
        if taken >= 0:
            self.add_sent(<size_t>taken)
            self.keep(self.out.data + taken, size - <size_t>taken)

    cdef void send_both(self, const char* data, size_t size) noexcept:
        """The gathered bytes and `data`, in one system call."""
        cdef iovec parts[2]
        cdef msghdr message
        cdef size_t gathered = self.out.size
        cdef ssize_t taken
        memset(&message, 0, sizeof(message))
        parts[0].iov_base = self.out.data
        parts[0].iov_len = gathered
        parts[1].iov_base = <void*>data
        parts[1].iov_len = size
        message.msg_iov = parts
        message.msg_iovlen = 2
        self.out.size = 0
        taken = self.taken_or_abort(sendmsg(self.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT))
        if taken < 0:
            return
        self.add_sent(<size_t>taken)
        if <size_t>taken < gathered:
            self.keep(self.out.data + taken, gathered - <size_t>taken)
            self.keep(data, size)
        elif <size_t>taken < gathered + size:
            self.keep(data + (<size_t>taken - gathered), gathered + size - <size_t>taken)

    cdef ssize_t taken_or_abort(self, ssize_t taken) noexcept:
        """A full socket took nothing; after any other error nothing can be sent (-1)."""
        if taken >= 0:
            return taken
        if errno == EAGAIN:
            return 0
        self.broken = True
        if not self.keeps_reading:
            self.abort()
        return -1

    cdef void keep(self, const char* data, size_t size) noexcept:
        """Keeps what the kernel did not take; it left a mark to report room for it (an edge)."""
        if size == 0 or self.fd < 0:
            return
        if self.backlog_at:
            self.backlog.size -= self.backlog_at
            memmove(self.backlog.data, self.backlog.data + self.backlog_at, self.backlog.size)
            self.backlog_at = 0
        buffer_put(&self.backlog, data, size)
        self.add_sent(size)
        if self.backlog.size > HIGH_WATER and not self.writing_paused:
            self.writing_paused = True
            self.owner.pause_writing()

    cdef void send_backlog(self) noexcept:
        """There is room: sends what waits, then does what waits behind it."""
        cdef size_t size = self.unsent()
        cdef ssize_t taken = c_send(self.fd, self.backlog.data + self.backlog_at, size,
                                    MSG_NOSIGNAL | MSG_DONTWAIT)
        taken = self.taken_or_abort(taken)
        if taken < 0:
            self.backlog.size = self.backlog_at = 0
        else:
            self.backlog_at += <size_t>taken
        if self.unsent() == 0:
            self.backlog.size = self.backlog_at = 0
            buffer_trim(&self.backlog, GATHER_BYTES)
            if self.closing:
                self.abort()
            elif self.finishing and self.fd >= 0:
                shutdown(self.fd, SHUT_WR)
        if self.writing_paused and self.unsent() <= LOW_WATER and self.fd >= 0:
            self.writing_paused = False
            self.owner.resume_writing()

    cdef void add_sent(self, size_t size) noexcept:
        self.sent += size
        if self.total != NULL:
            self.total[0] += size

    cdef size_t unsent(self) noexcept:
        """Bytes that the kernel has not taken yet, also after `close`."""
        return self.backlog.size - self.backlog_at

    cdef uint64_t taken(self) noexcept:
        """Bytes that the kernel has taken so far: it takes more when the peer does."""
        return self.sent - self.unsent()

    # --- the end ----------------------------------------------------------------------------------

    cdef void close(self) noexcept:
        """Sends what is queued, then closes both directions."""
        self.flush()
        if self.backlog.size and self.fd >= 0:
            self.closing = True
        else:
            self.abort()

    cdef void abort(self) noexcept:
        """Closes at once, also after a `close` whose bytes nobody takes; queued bytes are lost."""
        self.out.size = 0
        self.backlog.size = self.backlog_at = 0
        if self.fd >= 0:
            c_close(self.fd)
            self.fd = -1
            self.poller.announce_closed(self)

    cdef void reset(self) noexcept:
        """Closes with a reset, for a peer that would take an orderly end for the end of the message."""
        cdef linger how
        if self.fd >= 0:
            how.l_onoff = 1
            how.l_linger = 0
            setsockopt(self.fd, SOL_SOCKET, SO_LINGER, &how, sizeof(how))
        self.abort()

    cdef void finish_writing(self) noexcept:
        """Sends what is queued and a FIN; reading goes on."""
        self.flush()
        self.finishing = True
        if self.backlog.size == 0 and self.is_open():
            shutdown(self.fd, SHUT_WR)
