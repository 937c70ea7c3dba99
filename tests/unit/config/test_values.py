from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.values import (
    MAX_DURATION_S,
    MAX_SIZE,
    format_duration,
    format_size,
    format_value,
    one_or_many,
    parse_directory,
    parse_duration,
    parse_integer,
    parse_name,
    parse_optional_duration,
    parse_optional_size,
    parse_size,
    parse_text,
    parse_workers,
    shown,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1ms", 0.001),
        ("500ms", 0.5),
        ("10s", 10.0),
        ("1.5h", 5400.0),
        ("15m", 900.0),
        ("7d", 604800.0),
    ],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "10",
        "s",
        "10 s",
        "-1s",
        "1e3s",
        "10S",
        "1m30s",
        "٣s",
        "0s",
        "366d",
        "0.5ms",
        10,
        1.5,
        True,
        None,
        [],
    ],
)
def test_other_durations_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_duration(wrong)


@given(st.integers(1, MAX_DURATION_S * 1000))
def test_a_duration_survives_its_text(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


@given(st.text(alphabet="0123456789.msh d", max_size=8))
def test_an_accepted_duration_text_survives(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize("off", ["off", 0, "0", "0s", "0ms"])
def test_a_duration_may_be_off(off: Any) -> None:
    assert parse_optional_duration(off) == 0.0
    assert parse_optional_duration(format_duration(0.0)) == 0.0


@pytest.mark.parametrize("wrong", [False, None, "on", "no", [], {}])
def test_off_has_one_spelling(wrong: Any) -> None:
    with pytest.raises(ValueError, match="must be off or a duration"):
        parse_optional_duration(wrong)
    with pytest.raises(ValueError, match="must be off or a size"):
        parse_optional_size(wrong)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("16KiB", 16384),
        ("10 MiB", 10485760),
        ("64KB", 64000),
        ("1.5KiB", 1536),
        ("7B", 7),
        ("7", 7),
        (7, 7),
    ],
)
def test_sizes_are_bytes(text: Any, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "wrong", ["", "0", "-1", "1.5", "1.0001KiB", "9999999GiB", "10kb", "1 TiB", 1.0, True, None]
)
def test_other_sizes_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_size(wrong)


@given(st.integers(0, MAX_SIZE))
def test_a_size_survives_its_text(size: int) -> None:
    assert parse_optional_size(format_size(size)) == size


def test_a_size_takes_the_unit_with_the_smallest_number() -> None:
    assert [format_size(n) for n in (0, 1, 1000, 1024, 1536, 10 << 20, 10**6)] == [
        "off", "1B", "1KB", "1KiB", "1536B", "10MiB", "1MB",
    ]  # fmt: skip


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_whole_numbers_come_as_text_too(number: int) -> None:
    assert parse_integer(number) == parse_integer(str(number)) == number


@pytest.mark.parametrize("wrong", [True, 1.0, "1.0", "x", "", None, "1" * 19, "٣"])
def test_other_numbers_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="must be a whole number"):
        parse_integer(wrong)


def test_text_keeps_what_was_written() -> None:
    assert [parse_text(value) for value in ("a", 2, True)] == ["a", "2", "true"]
    with pytest.raises(ValueError, match=r"put it in quotes \('1.1'\)"):
        parse_text(1.10)
    with pytest.raises(ValueError, match="must be text, not a list"):
        parse_text([])


def test_workers() -> None:
    assert [parse_workers(value) for value in ("auto", 1, "256")] == ["auto", 1, 256]
    for wrong in (0, 257, -1, "on", None, True):
        with pytest.raises(ValueError, match="must be auto or"):
            parse_workers(wrong)


def test_a_directory_is_absolute() -> None:
    assert parse_directory("/run/gateway") == "/run/gateway"
    for wrong in ("run", "", "/a\0b", 1):
        with pytest.raises(ValueError, match="must be an absolute path"):
            parse_directory(wrong)


def test_names() -> None:
    assert parse_name("live-classes_2") == "live-classes_2"
    for wrong in ("", "a.b", "a b", "-a", "a" * 64, 1):
        with pytest.raises(ValueError, match="is not a name"):
            parse_name(wrong)


def test_one_or_many() -> None:
    assert one_or_many(None) == ()
    assert one_or_many("a") == ("a",)
    assert one_or_many(["a"]) == ["a"]


def test_refused_values_are_shown_briefly() -> None:
    values: tuple[object, ...] = (None, {}, [], True, 5)
    assert [shown(value) for value in values] == ["nothing", "a mapping", "a list", "true", "5"]
    assert len(shown("x" * 1000)) == 60


def test_values_on_one_line() -> None:
    value: dict[str, object] = {"a": [1, "b"], "c": None, "d": True, "e": 1.5}
    assert format_value(value) == "{a: [1, b], c: none, d: true, e: 1.5}"
