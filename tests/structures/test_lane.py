"""cext/lane.pyx: questions of many requests become calls of the script."""

from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cext.lane import Lane, number_of_lane

TERMS = ("token_bucket", 5, 1000, 7)


def words(command: bytes) -> list[str]:
    """What Redis reads."""
    reader = hiredis.Reader()
    reader.feed(command)
    return [word.decode() for word in reader.gets()]


def test_a_call_holds_all_requests_in_order() -> None:
    woken: list[int] = []
    lane = Lane(3, b":{3}", lambda: woken.append(1))
    got: list[Any] = []
    lane.ask([("k1", TERMS, 2, 1)], got.append)
    lane.ask([("k2", TERMS, -2, 2), ("k\u00e9", ("lease", 1, 2, 3), 1, 0)], got.append)
    assert woken == [1], "who is awake needs no second call"
    waited, batch, waits = lane.waits, lane.take(), lane.waits
    assert batch is not None
    assert (waited, waits, lane.take()) == (True, False, None)
    assert words(batch.command(b"abc", "n:1")) == [
        "EVALSHA", "abc", "3", "k1:{3}", "k2:{3}", "k\u00e9:{3}", "n:1", "2",
        "1", "token_bucket", "5", "1000", "7", "2", "1",
        "2", "token_bucket", "5", "1000", "7", "-2", "2", "lease", "1", "2", "3", "1", "0",
    ]  # fmt: skip
    assert batch.name == "n:1"
    batch.settle([1, 2, 3, 4, 0, 6, 7, 8, 1, 0, 0, 0])
    assert got == [[1, 2, 3, 4], [0, 6, 7, 8, 1, 0, 0, 0]]
    batch.give_up()
    assert len(got) == 2, "each is answered once"


def test_another_answer_is_refused_and_nobody_is_told() -> None:
    lane = Lane(0, b"", lambda: None)
    got: list[Any] = []
    lane.ask([("k", TERMS, 1, 1)], got.append)
    batch = lane.take()
    assert batch is not None
    with pytest.raises(ValueError, match="does not fit"):
        batch.settle([1])
    batch.give_up()
    assert got == [None]


def answered(data: bytes, questions: int) -> list[int] | None:
    """What an asker of so many questions gets from `data`, or None if it is no answer."""
    lane = Lane(0, b"", lambda: None)
    got: list[Any] = []
    lane.ask([("k", TERMS, 1, 1)] * questions, got.append)
    batch = lane.take()
    assert batch is not None
    if not batch.read(data):
        return None
    batch.settle()
    return got[0]


def written(numbers: list[int]) -> bytes:
    return b"*%d\r\n" % len(numbers) + b"".join(b":%d\r\n" % number for number in numbers)


LARGE = 10**18 - 1


@given(
    st.lists(st.integers(-LARGE, LARGE), min_size=4, max_size=4 * 20).map(
        lambda n: n[: len(n) // 4 * 4]
    )
)
def test_numbers_are_read_as_hiredis_reads_them(numbers: list[int]) -> None:
    reader = hiredis.Reader()
    reader.feed(written(numbers))
    assert answered(written(numbers), len(numbers) // 4) == reader.gets() == numbers


@given(st.data())
def test_only_a_whole_answer_is_read(data: st.DataObject) -> None:
    """Whatever else comes is left to hiredis: parts, more than one answer, errors."""
    whole = written([1, 20, -3, 4])
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert answered(whole[:cut], 1) is None
    assert answered(whole + whole[: cut + 1], 1) is None
    assert answered(whole, 2) is None
    byte = data.draw(st.binary(min_size=1, max_size=1).filter(lambda b: b != whole[cut : cut + 1]))
    changed = answered(whole[:cut] + byte + whole[cut + 1 :], 1)
    assert changed is None or byte in b"-0123456789", "another number"


@pytest.mark.parametrize(
    "data",
    [
        b"", b"*", b"*4", b"*4\r\n", b"-NOSCRIPT no\r\n", b"*4\r\n:1\r\n:2\r\n:3\r\n$1\r\n4\r\n",
        b"*4\r\n:1\r\n:2\r\n:3\r\n:\r\n", b"*4\r\n:1\r\n:2\r\n:3\r\n:-\r\n", b"*-1\r\n",
        b"*4\r\n:1\r\n:2\r\n:3\r\n:" + b"9" * 19 + b"\r\n", b"*4\n:1\n:2\n:3\n:4\n",
    ],
)  # fmt: skip
def test_what_is_no_answer_of_the_script_is_not_read(data: bytes) -> None:
    assert answered(data, 1) is None


def test_a_batch_has_a_bound() -> None:
    lane = Lane(0, b"", lambda: None)
    for number in range(1100):
        lane.ask([(f"k{number}", TERMS, 1, 1)], lambda _: None)
    sizes = []
    while (batch := lane.take()) is not None:
        sizes.append(int(words(batch.command(b"abc", "n"))[2]))
    assert sizes == [512, 512, 76]


def test_lanes_are_the_same_on_all_hosts() -> None:
    """FNV-1a of 32 bits: its published test vectors, modulo the number of lanes."""
    assert number_of_lane("a", 16) == 0xE40C292C % 16
    assert number_of_lane("foobar", 7) == 0xBF9CF968 % 7
    assert number_of_lane("foobar", 1) == 0
    spread = [number_of_lane(f"rate_limit:user:{number}:p", 16) for number in range(16_000)]
    counts = [spread.count(lane) for lane in range(16)]
    assert sum((count - 1000) ** 2 / 1000 for count in counts) < 37.7, "chi-square, p = 0.001"


def test_a_question_that_cannot_be_asked_leaves_the_others_whole() -> None:
    lane = Lane(0, b"", lambda: None)
    got: list[Any] = []
    lane.ask([("k", TERMS, 1, 1)], got.append)
    with pytest.raises(OverflowError):
        lane.ask([("a", TERMS, 1, 1), ("b", TERMS, 2**63, 1)], got.append)
    batch = lane.take()
    assert batch is not None
    batch.settle([1, 2, 3, 4])
    assert got == [[1, 2, 3, 4]]
