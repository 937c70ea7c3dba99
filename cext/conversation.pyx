"""A connection to Redis without a frame between the socket and who waits: one callback an answer.

What a protocol of asyncio does with data and with an end; `gateway.limits.link.Link` is one. A transport may
be TLS. Who gets an answer is called with what hiredis makes of it, a `hiredis.ReplyError` among it, with None
once the connection is lost, or with `READ`.
"""

import asyncio
from collections import deque

import hiredis

READ = object()


cdef class Conversation:
    def __init__(self, writer):
        """On the connection that an `asyncio.StreamWriter` has; it is not used for anything else."""
        self.writer = writer
        self.transport = writer.transport
        self.reader = hiredis.Reader()
        self.waiting = deque()
        self.closed = asyncio.get_running_loop().create_future()

    cpdef send(self, bytes command, object answered, Batch batch=None):
        """An encoded command. `answered` is called once: with `READ` if `batch` has read the answer.

        At once, with None, if the connection has ended.
        """
        if self.closed.done():
            answered(None)
            return
        self.waiting.append((answered, batch))
        self.transport.write(command)

    def close(self) -> None:
        """Ends it at once; who waits gets None."""
        self.transport.abort()
        self.writer.close()
        self.connection_lost(None)

    # --- what asyncio calls ---------------------------------------------------------------------------

    def data_received(self, bytes data) -> None:
        cdef Batch batch
        try:
            # False in the middle of an answer, too. What follows there is no array of numbers: neither
            # the script's answers nor what Redis sends of itself (RESP 3, "Pushes") have one inside.
            if self.waiting and not self.reader.has_data():
                answered, batch = self.waiting[0]
                if batch is not None and batch.read(data):
                    self.waiting.popleft()
                    answered(READ)
                    return
            self.reader.feed(data)
            while (answer := self.reader.gets()) is not False:
                if self.waiting and not isinstance(answer, hiredis.PushNotification):
                    self.waiting.popleft()[0](answer)
        except hiredis.ProtocolError:
            self.close()

    def connection_lost(self, exc) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
        waiting, self.waiting = self.waiting, deque()
        for answered, _ in waiting:
            answered(None)
