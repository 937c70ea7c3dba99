import asyncio
import os
import statistics
import threading
import time
from collections.abc import Iterator

import pytest

from gateway.identity.passwords import Busy, Cost, Passwords, Rules, check_rules

CHEAP = Cost(memory_kib=64, passes=1)
GOOD = "Correct-Horse-7!"


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords(CHEAP)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        (GOOD, []),
        ("Aa1!aaaa", []),
        ("Aa1!aaa", ["at least 8"]),
        ("Aa1!" + "a" * 125, ["at most 128"]),
        ("AA1!AAAA", ["lower-case"]),
        ("aa1!aaaa", ["upper-case"]),
        ("Aab!aaaa", ["digit"]),
        ("Aa1-aaaa", ["@$!%*?&"]),
        ("Aa1!aaa\n", ["control"]),
        ("", ["at least 8", "lower-case", "upper-case", "digit", "@$!%*?&"]),
    ],
)
def test_the_rules_name_all_that_is_missing(text: str, lacks: list[str]) -> None:
    found = check_rules(text)
    assert len(found) == len(lacks)
    assert all(word in phrase for word, phrase in zip(lacks, found, strict=True))


def test_rules_can_be_relaxed() -> None:
    rules = Rules(min_length=15, lower=False, upper=False, digit=False, special="")
    assert check_rules("correct horse battery", rules) == []
    assert check_rules("correct horse", rules) == ["must have at least 15 characters"]


async def test_a_password_is_checked_against_its_hash(passwords: Passwords) -> None:
    stored = await passwords.hash(GOOD)
    assert stored.startswith("$argon2id$")
    assert stored != await passwords.hash(GOOD)  # salted
    assert (await passwords.check(stored, GOOD)).ok
    assert not (await passwords.check(stored, GOOD + "x")).ok


@pytest.mark.parametrize("stored", [None, "", "plain", "$argon2id$v=19$m=64", "$2b$12$" + "a" * 53])
async def test_what_is_no_hash_matches_nothing(passwords: Passwords, stored: str | None) -> None:
    assert not (await passwords.check(stored, GOOD)).ok


async def test_composed_and_decomposed_characters_are_one_password(passwords: Passwords) -> None:
    stored = await passwords.hash("Caf\u00e9-1234!")
    assert (await passwords.check(stored, "Cafe\u0301-1234!")).ok


async def test_a_changed_cost_rehashes(passwords: Passwords) -> None:
    old = await passwords.hash(GOOD)
    dearer = Passwords(Cost(memory_kib=128, passes=1))
    try:
        checked = await dearer.check(old, GOOD)
        assert checked.ok
        assert checked.rehashed is not None
        again = await dearer.check(checked.rehashed, GOOD)
        assert again.ok
        assert again.rehashed is None
        assert (await dearer.check(old, "wrong")).rehashed is None
    finally:
        dearer.close()


async def test_unknown_users_take_as_long_as_wrong_passwords() -> None:
    passwords = Passwords(Cost(memory_kib=8192, passes=2), threads=1)
    try:
        stored = await passwords.hash(GOOD)
        times: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(15):
            for known in (True, False):
                begin = time.perf_counter()
                await passwords.check(stored if known else None, "wrong")
                times[known].append(time.perf_counter() - begin)
        known_s, unknown_s = (statistics.median(times[known]) for known in (True, False))
        assert unknown_s == pytest.approx(known_s, rel=0.5)
    finally:
        passwords.close()


async def test_many_at_once_are_refused_and_the_loop_goes_on() -> None:
    passwords = Passwords(Cost(memory_kib=8192, passes=2), threads=1, waiting=3)
    try:
        stored = await passwords.hash(GOOD)
        checks = [asyncio.ensure_future(passwords.check(stored, GOOD)) for _ in range(10)]
        turns = 0
        while not all(check.done() for check in checks):
            await asyncio.sleep(0.001)
            turns += 1
        assert turns > 1
        results = await asyncio.gather(*checks, return_exceptions=True)
        assert [isinstance(result, Busy) for result in results] == [False] * 4 + [True] * 6
        assert (await passwords.check(stored, GOOD)).ok  # the places are free again
    finally:
        passwords.close()


async def test_the_threads_give_way() -> None:
    passwords = Passwords(CHEAP, threads=1)
    try:
        await passwords.hash(GOOD)
        thread = next(t for t in threading.enumerate() if t.name.startswith("argon2"))
        assert thread.native_id is not None
        own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        assert os.getpriority(os.PRIO_PROCESS, thread.native_id) == min(own + 10, 19)
    finally:
        passwords.close()
