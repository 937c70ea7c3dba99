"""Keeps one source going, and the last good set of its endpoints.

A source that fails, or that answers nothing, never empties a working service: what it said last
stays in use until it names endpoints again.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from gateway.config.services import parse_endpoint_url
from gateway.upstreams.discovery.source import Endpoint, EndpointSet, Source, SourceError

FIRST_PAUSE_S = 0.5
LAST_PAUSE_S = 30.0
"""Between two tries of a source that fails. Half of it at least, and the rest by chance, so that
many gateways do not come back in step."""
MAX_ENDPOINTS = 4096
"""What a balancer takes."""

State = Literal["waiting", "ok", "empty", "failing"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """What people may know of one discovered service."""

    service: str
    source: str
    state: State
    """``waiting`` for the first answer; ``empty``: it answers, and names no endpoint."""
    endpoints: tuple[Endpoint, ...]
    """In use, sorted."""
    confirmed: float | None
    """Monotonic seconds at which the source last named the endpoints in use; None for never."""
    failures: int


class Watch:
    """One service's source, and what is known from it."""

    def __init__(
        self,
        service: str,
        title: str,
        source: Source,
        changed: Callable[[], None],
        endpoints: EndpointSet = frozenset(),
    ) -> None:
        """`endpoints`: what an earlier watch knew. `changed` is called when there are others."""
        self.service = service
        self.endpoints = endpoints
        self.answered = asyncio.Event()
        """Set at the first answer, whatever it says."""
        self._title = title
        self._source = source
        self._changed = changed
        self._answer: EndpointSet | None = None
        self._found: EndpointSet = frozenset()
        """What is usable of the last answer."""
        self._state: State = "waiting"
        self._confirmed: float | None = None
        self._failures = 0
        self._tries = 0
        """Since the last answer."""

    async def run(self) -> None:
        """Follow the source for ever."""
        while True:
            try:
                async with aclosing(self._source.sets()) as sets:
                    async for found in sets:
                        self._take(found)
            except SourceError as error:
                self._failed(str(error))
            except Exception as error:  # a fault of ours must not end discovery for good
                log.exception("%s: %s cannot be followed", self.service, self._title)
                self._failed(f"internal error: {type(error).__name__}: {error}")
            await asyncio.sleep(pause_s(self._tries, random.random()))

    def report(self) -> Report:
        """The state of this moment."""
        return Report(
            self.service,
            self._title,
            self._state,
            tuple(sorted(self.endpoints, key=lambda endpoint: endpoint.url)),
            self._confirmed,
            self._failures,
        )

    def _take(self, answer: EndpointSet) -> None:
        self._tries = 0
        if answer != self._answer:  # what is wrong with it is told once
            self._answer, self._found = answer, self._usable(answer)
        if found := self._found:
            self._turn("ok", "answers again")
            self._confirmed = time.monotonic()
            if found != self.endpoints:
                self._tell(found)
                self.endpoints = found
                self._changed()
        else:
            self._turn("empty", f"names no endpoint; {self._kept()}")
        self.answered.set()

    def _usable(self, answer: EndpointSet) -> EndpointSet:
        """Endpoints that workers can use: a source's mistake must not cost a whole Plan."""
        found = sorted(filter(_has_valid_url, answer), key=lambda endpoint: endpoint.url)
        if len(found) > MAX_ENDPOINTS:
            log.warning(
                "%s: %s names %d endpoints; the first %d are used, split the service",
                self.service, self._title, len(found), MAX_ENDPOINTS,
            )  # fmt: skip
        return frozenset(found[:MAX_ENDPOINTS])

    def _failed(self, reason: str) -> None:
        self._failures += 1
        self._tries += 1
        self._turn("failing", f"{reason}; {self._kept()}")

    def _turn(self, state: State, what: str) -> None:
        """Tell once for each change of state, not for each answer."""
        if state == self._state:
            return
        if state != "ok":
            log.warning("%s: %s: %s", self.service, self._title, what)
        elif self._state != "waiting":
            log.info("%s: %s: %s", self.service, self._title, what)
        self._state = state

    def _kept(self) -> str:
        count = len(self.endpoints)
        return f"the {count} known before stay in use" if count else "none is known yet"

    def _tell(self, found: EndpointSet) -> None:
        log.info(
            "%s: endpoints: %d, %d new, %d gone",
            self.service, len(found), len(found - self.endpoints), len(self.endpoints - found),
        )  # fmt: skip


def pause_s(tries: int, chance: float) -> float:
    """How long to wait after so many tries without an answer. `chance`: 0 to 1."""
    longest = min(FIRST_PAUSE_S * float(2 ** min(tries, 10)), LAST_PAUSE_S)
    return longest * (1 + chance) / 2


def _has_valid_url(endpoint: Endpoint) -> bool:
    try:
        if parse_endpoint_url(endpoint.url).unix is not None:
            raise ValueError("a source names no socket of this host")
    except ValueError as error:
        log.warning("an endpoint of no use, %r: %s", endpoint.url, error)
        return False
    return True
