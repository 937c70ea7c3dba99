"""How a route's requests are divided between services at this moment.

The configuration gives each part of a split a weight. Over that lies what was decided since, in the
segment: by hand, through the admin API, or by the watch of a canary. It holds for this host, in all
workers at once, until the split in the configuration is another one or the gateway starts again.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["Decided", "canary_part", "shares_of", "split_states"]

Decided = Callable[[int], int | None]
"""Place of a part → permille that was decided; None: as configured."""


def canary_part(route: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of the route's split that its canary is about."""
    part: Mapping[str, Any] = route["split"][route["canary"]["part"]]
    return part


def shares_of(split: Sequence[Mapping[str, Any]], decided: Decided) -> list[float]:
    """The share of each part, 0 to 1: what was decided, and the rest divided by weight."""
    fixed = [decided(part["place"]) for part in split]
    left = 1 - sum(permille for permille in fixed if permille is not None) / 1000
    weights = [
        part["weight"] if permille is None else 0
        for part, permille in zip(split, fixed, strict=True)
    ]
    total = sum(weights)
    return [
        (max(left, 0.0) * weight / total if total else 0.0) if permille is None else permille / 1000
        for weight, permille in zip(weights, fixed, strict=True)
    ]


def split_states(
    routes: Sequence[Mapping[str, Any]], services: Sequence[Mapping[str, Any]], decided: Decided
) -> list[dict[str, Any]]:
    """`routes`: those of the Plan with a split. Plain data, ready for JSON."""
    return [
        {
            "route": route["name"],
            "parts": [
                {
                    "service": services[part["service"]]["name"],
                    "share": round(share, 4),
                    "is_set": decided(part["place"]) is not None,
                }
                for part, share in zip(
                    route["split"], shares_of(route["split"], decided), strict=True
                )
            ],
        }
        for route in routes
    ]
