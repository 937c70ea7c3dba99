"""What the balancer does, said plainly."""

from collections.abc import Iterator, Sequence
from fractions import Fraction


def effective(weights: Sequence[int]) -> list[int]:
    """Weight 0 is never picked, unless all are 0."""
    return list(weights) if any(weights) else [1] * len(weights)


def shares(weights: Sequence[int]) -> list[Fraction]:
    """The part of all requests that each endpoint is to get."""
    weights = effective(weights)
    return [Fraction(weight, sum(weights)) for weight in weights]


def smooth_weighted_round_robin(weights: Sequence[int]) -> Iterator[int]:
    """The algorithm of nginx, one turn after the other, without end."""
    weights = effective(weights)
    current = [0] * len(weights)
    while True:
        current = [have + gain for have, gain in zip(current, weights, strict=True)]
        best = current.index(max(current))
        current[best] -= sum(weights)
        yield best
