"""Questions to Redis and their answers: what stands in ``KEYS`` and ``ARGV`` of ``decide.lua``."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

PREFIX = "rate_limit"


class Allowance(Protocol):
    """How much; see ``cext/rate_limit.pxd``."""

    rule: int
    lease_rule: int
    limit: int
    period_ms: int
    burst: int
    lease: int


class Question(NamedTuple):
    """May `key` have `weight` more? Of a lease: as many as there are, up to `weight`."""

    key: str
    kind: str
    limit: int
    period_ms: int
    burst: int
    weight: int
    enforced: bool


class Answer(NamedTuple):
    """`allowed` is 0 or 1, or the tokens of a lease."""

    allowed: int
    remaining: int
    reset_ms: int
    retry_ms: int


class Call(NamedTuple):
    """All requests that wait, as one call of the script."""

    keys: list[str]
    arguments: list[str | int]


def key_of(policy: str, algorithm: str, who: str) -> str:
    """``rate_limit:user:alice:POLICY``; of windows ``rate_limit:sliding:…``."""
    form = "" if algorithm == "token_bucket" else f"{algorithm.removesuffix('_window')}:"
    return f"{PREFIX}:{form}{who}:{policy}"


def question(
    policy: str, algorithm: str, who: str, allowance: Allowance, weight: int, enforced: bool
) -> Question:
    """Of a request that Redis decides."""
    key = key_of(policy, algorithm, who)
    period_ms, burst = allowance.period_ms, allowance.burst
    return Question(key, algorithm, allowance.limit, period_ms, burst, weight, enforced)


def lease_question(policy: str, who: str, allowance: Allowance, tokens: int) -> Question:
    """Tokens of the same bucket as an exact policy's."""
    key = key_of(policy, "token_bucket", who)
    period_ms, burst = allowance.period_ms, allowance.burst
    return Question(key, "lease", allowance.limit, period_ms, burst, tokens, True)


def call(requests: Sequence[Sequence[Question]], nonce: str) -> Call:
    """One call for all of them. ``nonce`` is a text that no other call has."""
    keys: list[str] = []
    arguments: list[str | int] = [nonce, len(requests)]
    for questions in requests:
        arguments.append(len(questions))
        for each in questions:
            keys.append(each.key)
            arguments += (each.kind, each.limit, each.period_ms, each.burst, each.weight)
            arguments.append(int(each.enforced))
    return Call(keys, arguments)


def answers(requests: Sequence[Sequence[Question]], flat: Sequence[int]) -> list[list[Answer]]:
    """What the script returned, for each request. ValueError if that is not what was asked."""
    if len(flat) != 4 * sum(map(len, requests)):
        raise ValueError("the script's answer does not fit the questions")
    numbers = iter(flat)
    rows = zip(numbers, numbers, numbers, numbers, strict=True)
    return [[Answer(*next(rows)) for _ in questions] for questions in requests]
