"""A connection to Redis: no frame between the socket and who waits (cext/conversation.pyx)."""

import asyncio
from collections.abc import Callable
from typing import Any

from gateway.cext.lane import Batch

READ: object
"""In place of an answer: the batch has read it."""

class Conversation:
    """Commands go out in order, and their answers come back in it."""

    closed: asyncio.Future[None]
    """Done when nothing more will come."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        """On the connection of `writer`, which is not used for anything else."""

    def send(
        self, command: bytes, answered: Callable[[Any], None], batch: Batch | None = None
    ) -> None:
        """An encoded command.

        `answered` is called once, with what Redis answered: an error as `hiredis.ReplyError`; None
        if the connection is lost, at once if it has been; `READ` if `batch` has read the answer.
        """

    def close(self) -> None:
        """End it at once; who waits gets None."""
