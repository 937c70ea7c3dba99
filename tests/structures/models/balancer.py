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


def mix(value: int) -> int:
    """The finaliser of splitmix64."""
    value = (value + 0x9E3779B97F4A7C15) % 2**64
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
    return value ^ value >> 31


def hash_key(key: bytes) -> int:
    """FNV-1a, mixed."""
    value = 0xCBF29CE484222325
    for byte in key:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return mix(value)


def ring_order(weights: Sequence[int], urls: Sequence[str], key: int) -> list[int]:
    """Endpoints in the order in which a key meets them on the ring, each once."""
    weights = effective(weights)
    points = []
    for index, (weight, url) in enumerate(zip(weights, urls, strict=True)):
        own = hash_key(url.encode())
        count = -(-160 * weight // max(weights))
        points += [(mix(own ^ mix(number)), own, index) for number in range(count)]
    behind = sorted(point for point in points if point[0] >= key)
    before = sorted(point for point in points if point[0] < key)
    return list(dict.fromkeys(index for _, _, index in behind + before))
