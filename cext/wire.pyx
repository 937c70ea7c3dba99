"""Direct writes under uvloop.

`transport.write` wants a bytes object and costs about a microsecond; `send` on the same descriptor costs
the system call. So the socket is tried first, and only what the kernel does not take goes to the transport.
From then on order demands that everything goes there, until it reports an empty buffer.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.errno cimport EAGAIN, EINTR, errno

from gateway.cext.buffer cimport buffer_free, buffer_put

cdef extern from "<sys/socket.h>" nogil:
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
    int setsockopt(int fd, int level, int name, const void* value, unsigned int size)
    int SOL_SOCKET
    int SO_LINGER
    int MSG_NOSIGNAL
    int MSG_DONTWAIT
cdef extern from "<string.h>" nogil:
    void* memset(void*, int, size_t)

cdef enum:
    # Up to here a copy into the gather buffer is cheaper than a second buffer in the system call.
    GATHER_BYTES = 16384


cdef class Wire:
    def __cinit__(self):
        self.fd = -1

    def __dealloc__(self):
        buffer_free(&self.out)

    cdef void open(self, transport) noexcept:
        self.transport = transport
        self.fd = transport.get_extra_info("socket").fileno()

    cdef bint is_open(self) noexcept:
        return self.fd >= 0

    cdef void write(self, const char* data, size_t size) noexcept:
        """Queues bytes for the next flush; large ones leave at once, without a copy."""
        if self.fd < 0 or self.broken:
            return
        if self.out.size + size <= GATHER_BYTES:
            buffer_put(&self.out, data, size)
        elif self.transport_is_busy():
            self.flush()
            self.hand_over(data, size)
        else:
            self.send_both(data, size)

    cdef void flush(self) noexcept:
        cdef ssize_t taken
        cdef size_t size = self.out.size
        if size == 0:
            return
        self.out.size = 0
        if self.fd < 0 or self.broken:
            return
        if self.transport_is_busy():
            self.hand_over(self.out.data, size)
            return
        taken = c_send(self.fd, self.out.data, size, MSG_NOSIGNAL | MSG_DONTWAIT)
        if taken == <ssize_t>size:
            self.add_sent(size)
            return
        taken = self.taken_or_abort(taken)
        if taken >= 0:
            self.add_sent(<size_t>taken)
            self.hand_over(self.out.data + taken, size - <size_t>taken)

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
            self.hand_over(self.out.data + taken, gathered - <size_t>taken)
            self.hand_over(data, size)
        elif <size_t>taken < gathered + size:
            self.hand_over(data + (<size_t>taken - gathered), gathered + size - <size_t>taken)

    cdef ssize_t taken_or_abort(self, ssize_t taken) noexcept:
        """A full socket took nothing; after any other error nothing can be sent (-1)."""
        if taken >= 0:
            return taken
        if errno == EAGAIN or errno == EINTR:
            return 0
        self.broken = True
        if not self.keeps_reading:
            self.abort()
        return -1

    cdef void hand_over(self, const char* data, size_t size) noexcept:
        if size and self.fd >= 0:
            self.buffered = True
            self.add_sent(size)
            try:
                self.transport.write(PyBytes_FromStringAndSize(data, <Py_ssize_t>size))
            except Exception:
                # What is lost here would be missing in the middle of a message.
                self.abort()

    cdef bint transport_is_busy(self) noexcept:
        if self.buffered and self.transport.get_write_buffer_size() == 0:
            self.buffered = False
        return self.buffered

    cdef void add_sent(self, size_t size) noexcept:
        self.sent += size
        if self.total != NULL:
            self.total[0] += size

    cdef size_t unsent(self) noexcept:
        """Bytes that the transport still holds, also after `close`."""
        if self.transport is None or not self.buffered:
            return 0
        return self.transport.get_write_buffer_size()

    cdef uint64_t taken(self) noexcept:
        """Bytes that the kernel has taken so far: it takes more when the peer does."""
        return self.sent - self.unsent()

    cdef void close(self) noexcept:
        """Sends what is queued, then closes both directions."""
        if self.fd >= 0:
            self.flush()
        if self.fd >= 0:
            self.fd = -1
            self.transport.close()

    cdef void abort(self) noexcept:
        """Closes at once, also after a `close` whose bytes nobody takes; queued bytes are lost."""
        self.fd = -1
        self.out.size = 0
        if self.transport is not None:
            self.transport.abort()

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
        if self.fd >= 0:
            self.transport.write_eof()

    cdef void lost(self) noexcept:
        """The transport has gone; its descriptor is no longer ours."""
        self.fd = -1
        self.transport = None
        self.out.size = 0
