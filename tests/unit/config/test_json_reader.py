import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.json_reader import read_json
from gateway.config.problems import ConfigError, Place, Problem

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
tree = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)


@given(tree, st.booleans(), st.sampled_from([None, 1]))
def test_reads_what_the_standard_decoder_reads(
    data: Any, ascii_only: bool, indent: int | None
) -> None:
    problems: list[Problem] = []
    encoded = json.dumps(data, ensure_ascii=ascii_only, indent=indent)
    assert read_json(encoded, "f", problems).plain() == data
    assert problems == []


def test_places() -> None:
    root = read_json('{"a": [\n  {"b":\n 1}]}', "f", [])
    assert root.place_of(("a", 0, "b"), key=True) == Place("f", 2, 4)
    assert root.place_of(("a", 0, "b")) == Place("f", 3, 2)


def test_an_empty_file_is_empty() -> None:
    assert read_json(" \n", "f", []).plain() is None


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{", "f:1:2: not valid JSON: expecting property name"),
        ("[" * 100_000, "nested deeper"),
        ("[" * 40 + "]" * 40, "nested deeper"),
        ("9" * 5000, "not valid JSON: Exceeds the limit"),
        ("{} {}", "f:1:4: not valid JSON: extra data"),
    ],
)
def test_errors(source: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_json(source, "f", [])
