"""What the control process knows of the instance: the segment, the Plan in force, the status."""

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gateway.channel import Message
from gateway.control.publication import Publication
from gateway.upstreams.report import service_states

if TYPE_CHECKING:
    from gateway._core import Segment
    from gateway.upstreams.discovery.watch import Report

__all__ = ["Instance"]

STATUS_TIMEOUT_S = 2.0
"""The supervisor answers in microseconds; a probe gives up after a few seconds."""


class Instance:
    """Asks the supervisor, which alone knows its children, for the status document."""

    def __init__(
        self,
        send: Callable[[Message], None],
        segment: "Segment",
        publication: Publication,
        discovered: "Callable[[], list[Report]]" = list,
    ) -> None:
        self.segment = segment
        self.publication = publication
        self.discovered = discovered
        """Tells of the services whose endpoints are discovered."""
        self._send = send
        self._ids = itertools.count()
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def status(self) -> dict[str, Any]:
        """The status document (``gateway.supervisor.status``). TimeoutError if none comes."""
        number = next(self._ids)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._send({"type": "status", "id": number})
            async with asyncio.timeout(STATUS_TIMEOUT_S):
                return await answer
        finally:
            del self._waiting[number]

    def services(self) -> list[dict[str, Any]]:
        """What is known of services and endpoints at this moment."""
        now_ms = time.monotonic_ns() // 1_000_000
        return service_states(self.publication.services, self.segment, now_ms)

    def on_status(self, number: int, status: dict[str, Any]) -> None:
        """The supervisor's answer to one question."""
        answer = self._waiting.get(number)
        if answer is not None and not answer.done():
            answer.set_result(status)
