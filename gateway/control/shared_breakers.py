"""Lets hosts see each other's circuit breakers, in Redis.

A host that opens its breaker says so in the hash ``circuit_breaker:<service>``; the others open
theirs, if it is closed, until the same moment, and then each asks with probes of its own. Nothing
else goes over: a breaker that is open or half open here goes by what this host sees. What was said
is good for one opening and for as long as it was said to last, so a host that dies, and a Redis
that is away, leave each host with its own breaker as it would be without the others.
"""

import asyncio
import logging
import math
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final, Literal

from gateway.state.interface import StateUnavailable
from gateway.telemetry.metrics import Family

if TYPE_CHECKING:
    from gateway._core import Segment
    from gateway.state.interface import State

__all__ = ["SharedBreaker", "SharedBreakers"]

LOOK_S = 0.2
"""How late the others hear of it: far below any open time, and five small questions a second."""
SHOWN_S: Final = 60
"""How long a hash still shows that a breaker has closed."""
SPACE: Final = "circuit_breaker"

NS_PER_MS: Final = 1_000_000

BreakerState = Literal["closed", "open", "half_open"]
CLOSED: Final[tuple[BreakerState, int]] = ("closed", 0)

log = logging.getLogger(__name__)


@dataclass
class SharedBreaker:
    """Decides about the breaker of one service. No clock and no I/O; durations are ms."""

    host: str
    """This one."""
    longest_ms: int
    """`open_max`: no other host stops requests for longer at a time, whatever its clock says."""
    told: tuple[BreakerState, int] = CLOSED
    """What the others know of us: the state, and when it ends if it is open (segment's time)."""
    followed: tuple[str, str] = ("", "")
    """Host and beginning of the opening that was followed last."""
    followed_until_ms: int = 0
    """Its end, in the segment's time: this host has found nothing of it out."""

    def found_out(self, state: BreakerState, until_ms: int) -> tuple[BreakerState, int] | None:
        """What the others should be told, if it is something new. It becomes `told` once it is."""
        if state == "open":
            found = CLOSED if until_ms == self.followed_until_ms else (state, until_ms)
        elif state == "half_open" and self.told == CLOSED:
            found = CLOSED  # probes after another host's finding
        else:
            found = (state, 0)
        return None if found == self.told else found

    def to_follow(self, fields: Mapping[str, str] | None, unix_ms: int) -> int | None:
        """For how long a closed breaker opens because of what another host has said; None: not."""
        if not fields or fields.get("state") != "OPEN" or fields.get("host") == self.host:
            return None
        opening = fields.get("host", ""), fields.get("openedAt", "")
        try:
            open_ms = min(int(fields["until"]) - unix_ms, self.longest_ms)
        except (KeyError, ValueError):
            return None  # somebody else's hash
        if open_ms <= 0 or opening == self.followed:
            return None
        self.followed = opening
        return open_ms


@dataclass
class _Watched:
    label: int
    breaker: SharedBreaker
    follows: int = 0


class SharedBreakers:
    """Tells what this host's breakers do, and follows those of others, of services that say so."""

    def __init__(self, segment: "Segment", host: str | None = None) -> None:
        self._segment = segment
        self._host = host or f"{socket.gethostname()}-{token_hex(4)}"
        self._watched: dict[str, _Watched] = {}

    def update(self, services: Sequence[Mapping[str, Any]]) -> None:
        """Watch those of these services (of the Plan) whose breaker is shared."""
        watched = {}
        for service in services:
            if not service["breaker"] or not service["breaker"]["shared"]:
                continue
            name, longest_ms = service["name"], round(1000 * service["breaker"]["open_max"])
            each = self._watched.get(name)
            if each is None:
                each = _Watched(service["label"], SharedBreaker(self._host, longest_ms))
            each.breaker.longest_ms = longest_ms
            watched[name] = each
        self._watched = watched

    async def run(self, state: "State") -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            for name, each in list(self._watched.items()):
                try:
                    await self.look(state, name, each)
                except StateUnavailable:
                    continue  # who watches Redis itself tells the log
                except Exception:
                    log.exception("the circuit breaker of %s is not shared for now", name)

    async def look(self, state: "State", name: str, each: _Watched) -> None:
        """Tell, and hear, of one service. Raises StateUnavailable."""
        found = each.breaker.found_out(*self._segment.breaker(each.label))
        if found is not None:
            await self._tell(state, name, found)
            each.breaker.told = found
        if self._segment.breaker(each.label)[0] != "closed":
            return
        fields = await state.get(SPACE, name)
        open_ms = each.breaker.to_follow(fields, time.time_ns() // NS_PER_MS)
        if fields is None or open_ms is None:
            return
        until_ms = time.monotonic_ns() // NS_PER_MS + open_ms
        each.breaker.followed_until_ms = until_ms
        if self._segment.open_breaker(each.label, until_ms):
            each.follows += 1
            log.warning("circuit breaker of %s: open, as on %s", name, fields["host"])

    async def _tell(self, state: "State", name: str, found: tuple[BreakerState, int]) -> None:
        now_ms = time.time_ns() // NS_PER_MS
        left_ms = max(found[1] - time.monotonic_ns() // NS_PER_MS, 0)
        fields = {"state": found[0].upper(), "host": self._host, "openedAt": str(now_ms)}
        if found[0] == "open":
            fields |= {"lastFailure": str(now_ms), "until": str(now_ms + left_ms)}
            await state.put(SPACE, name, fields, math.ceil(left_ms / 1000) or 1)
            return
        shown = await state.get(SPACE, name)
        if not shown or shown.get("host") == self._host:  # never over what another host has said
            await state.put(SPACE, name, fields, SHOWN_S)

    def families(self) -> list[Family]:
        """For the metrics."""
        samples = [({"service": name}, each.follows) for name, each in self._watched.items()]
        return [
            Family(
                "gateway_circuit_breaker_followed_total",
                "counter",
                "Times a circuit breaker has opened because another host's had.",
                samples,
            )
        ]
