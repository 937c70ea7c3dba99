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
RELOAD_TIMEOUT_S = 30.0
"""Milliseconds as a rule; a worker that is stuck is replaced within 10 s."""


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
        return await self._ask("status", STATUS_TIMEOUT_S)

    async def reload(self) -> dict[str, Any]:
        """Reload, and say how it ended: ``ok``, ``generation``, ``problems``.

        With ``ok`` it is in force in every worker. TimeoutError if no answer comes.
        """
        return await self._ask("reload", RELOAD_TIMEOUT_S)

    def on_answer(self, number: int | None, answer: dict[str, Any]) -> None:
        """The supervisor's answer to one question."""
        waiting = None if number is None else self._waiting.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    async def _ask(self, question: str, timeout_s: float) -> dict[str, Any]:
        number = next(self._ids)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._send({"type": question, "id": number})
            async with asyncio.timeout(timeout_s):
                return await answer
        finally:
            del self._waiting[number]

    def services(self) -> list[dict[str, Any]]:
        """What is known of services and endpoints at this moment."""
        now_ms = time.monotonic_ns() // 1_000_000
        return service_states(self.publication.services, self.segment, now_ms)
