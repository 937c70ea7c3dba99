"""Which users, clients and API keys are refused by rate limits: for the metrics, up to a bound."""

from collections.abc import Iterable, Sequence
from typing import Any

from gateway.telemetry.metrics import Family

__all__ = ["RefusedCallers"]

MAX_CALLERS = 1000
"""Series of the metric. Later callers count as ``other``: a series is kept for ever."""


class RefusedCallers:
    """Refusals by policy and caller, since the start."""

    def __init__(self) -> None:
        """Nobody yet."""
        self._counts: dict[tuple[str, str], int] = {}

    def count(self, rows: Iterable[Sequence[Any]]) -> None:
        """A worker's report: policy, caller (``user:alice``), requests."""
        for policy, caller, requests in rows:
            key = (policy, caller)
            if key not in self._counts and len(self._counts) >= MAX_CALLERS:
                key = (policy, "other")
            self._counts[key] = self._counts.get(key, 0) + requests

    def families(self) -> list[Family]:
        """One, once somebody was refused."""
        if not self._counts:
            return []
        samples = [
            ({"policy": policy, "caller": caller}, count)
            for (policy, caller), count in sorted(self._counts.items())
        ]
        text = "Requests of a user, client or API key that a rate limit refused."
        return [Family("gateway_rate_limit_exceeded_callers_total", "counter", text, samples)]
