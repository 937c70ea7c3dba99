"""A connection to Redis without a frame between the socket and who waits: one callback an answer.

redis-py connects: it knows TLS, accounts, databases and protocol versions. Then its transport is
ours, because its own client takes ten times as long for a call (docs/decisions/0010).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError

if TYPE_CHECKING:
    from gateway.cext.lane import Batch

__all__ = ["READ", "Link", "packed", "settle", "take_over"]

Result = TypeVar("Result")

Answered = Callable[[Any], None]
"""Gets what Redis answered; an error of Redis as `hiredis.ReplyError`; None: it is lost."""
READ = object()
"""In place of an answer: the batch has read it."""


class Link(asyncio.Protocol):
    """Commands go out in order, and their answers come back in it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer  # it warns when it is forgotten before it is closed
        self._transport = writer.transport
        self._reader = hiredis.Reader()
        self._waiting: deque[tuple[Answered, Batch | None]] = deque()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when nothing more will come."""

    def send(self, command: bytes, answered: Answered, batch: "Batch | None" = None) -> None:
        """An encoded command. `answered` is called once; with `READ` if `batch` has the answer."""
        self._waiting.append((answered, batch))
        self._transport.write(command)

    async def ask(self, *words: str | bytes | int) -> Any:
        """One command. Raises RedisError for an error or a lost connection."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.send(packed(*words), partial(settle, future))
        answer = await future
        if isinstance(answer, hiredis.ReplyError):
            raise RedisConnectionError(str(answer))
        if answer is None:
            raise RedisConnectionError("the connection is lost")
        return answer

    def close(self) -> None:
        """End it at once; who waits gets None."""
        self._transport.abort()
        self._writer.close()
        self.connection_lost(None)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        try:
            if self._waiting and not self._reader.has_data():
                answered, batch = self._waiting[0]
                if batch is not None and batch.read(data):
                    self._waiting.popleft()
                    answered(READ)
                    return
            self._reader.feed(data)
            while (answer := self._reader.gets()) is not False:
                if self._waiting and not isinstance(answer, hiredis.PushNotification):
                    self._waiting.popleft()[0](answer)
        except hiredis.ProtocolError:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        if not self.closed.done():
            self.closed.set_result(None)
        waiting, self._waiting = self._waiting, deque()
        for answered, _ in waiting:
            answered(None)


def packed(*words: str | bytes | int) -> bytes:
    """A command as Redis reads it."""
    command: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]
    return command


def settle(future: "asyncio.Future[Result]", answer: Result) -> None:
    """Unless nobody waits for it any more."""
    if not future.done():
        future.set_result(answer)


async def take_over(connection: AbstractConnection) -> Link:
    """Connect, and read and write in place of the client from here on."""
    await connection.connect()  # type: ignore[no-untyped-call]
    writer: asyncio.StreamWriter | None = connection._writer
    if writer is None:
        raise RedisConnectionError("not connected")
    connection._writer = connection._reader = None
    link = Link(writer)
    writer.transport.set_protocol(link)
    return link
