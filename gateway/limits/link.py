"""A connection to Redis, as the limits use it.

redis-py connects: it knows TLS, accounts, databases and protocol versions. Then its transport is
ours, because its own client takes ten times as long for a call (docs/decisions/0010).
"""

import asyncio
from functools import partial
from typing import Any, TypeVar

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError

from gateway.cext.conversation import Conversation

__all__ = ["Link", "packed", "settle", "take_over"]

Result = TypeVar("Result")


class Link(Conversation, asyncio.Protocol):
    """Commands go out in order, and their answers come back in it."""

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
