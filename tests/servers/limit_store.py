"""A store of limits as a worker sees it: lanes, and a model of the script in a dict."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import hiredis

from gateway.cext.lane import Lane


@dataclass
class Asked:
    """One question, as the script reads it."""

    key: str
    kind: str
    limit: int
    weight: int
    mode: int


@dataclass
class ModelStore:
    """Counts without an end. Nothing is answered while it is `held`."""

    loop: asyncio.AbstractEventLoop
    tags: tuple[bytes, ...] = (b"",)
    used: dict[str, int] = field(default_factory=dict)
    asked: list[list[Asked]] = field(default_factory=list)
    """The requests of all calls."""
    calls: int = 0
    held: bool = False
    lost: set[int] = field(default_factory=set)
    """Lanes that never answer."""

    def __post_init__(self) -> None:
        self.lanes = [
            Lane(number, tag, partial(self.wake, number)) for number, tag in enumerate(self.tags)
        ]

    def wake(self, number: int) -> None:
        """At the end of the loop turn."""
        self.loop.call_soon(self.answer, number)

    def answer(self, number: int) -> None:
        """All that waits in a lane."""
        while not self.held and (batch := self.lanes[number].take()) is not None:
            self.calls += 1
            requests = parse(batch.command(b"sha", f"n:{number}:{self.calls}"))
            self.asked += requests
            if number in self.lost:
                batch.give_up()
            else:
                batch.settle([n for request in requests for n in self.decide(request)])

    def decide(self, request: list[Asked]) -> list[int]:
        """All or nothing."""
        fits = [self.used.get(a.key, 0) + a.weight <= a.limit for a in request]
        allowed = all(fit or a.mode != 1 for fit, a in zip(fits, request, strict=True))
        flat: list[int] = []
        for fit, each in zip(fits, request, strict=True):
            used = self.used.get(each.key, 0)
            if allowed and (fit or each.mode == 2):
                used = self.used[each.key] = max(0, used + each.weight)
            flat += [int(fit), max(0, each.limit - used), 60_000, 0 if fit else 60_000]
        return flat


def parse(command: bytes) -> list[list[Asked]]:
    """The requests of one call."""
    reader = hiredis.Reader(encoding="utf-8")
    reader.feed(command)
    words: list[str] = reader.gets()
    count = int(words[2])
    keys, rest = iter(words[3 : 3 + count]), iter(words[4 + count :])
    return [[question(keys, rest) for _ in range(int(next(rest)))] for _ in range(int(next(rest)))]


def question(keys: Iterator[str], words: Iterator[str]) -> Asked:
    """The next one."""
    kind, limit, _, _, weight, mode = (next(words) for _ in range(6))
    return Asked(next(keys), kind, int(limit), int(weight), int(mode))
