"""Scopes with hierarchy: ``content:*`` covers ``content:read`` and ``content:read:all``."""

from collections.abc import Iterable

__all__ = ["covers", "intersect"]


def covers(granted: Iterable[str], wanted: str) -> bool:
    """Whether one of the granted scopes is the wanted one, or a ``…:*`` above it, or ``*``."""
    return any(
        scope in (wanted, "*") or (scope.endswith(":*") and wanted.startswith(scope[:-1]))
        for scope in granted
    )


def intersect(first: Iterable[str], second: Iterable[str]) -> frozenset[str]:
    """What both cover, in the narrower words of the two."""
    one, other = frozenset(first), frozenset(second)
    return frozenset([s for s in one if covers(other, s)] + [s for s in other if covers(one, s)])
