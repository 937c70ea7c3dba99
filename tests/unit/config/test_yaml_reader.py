from typing import Any

import pytest
import yaml

from gateway.config.document import MAX_DEPTH, Node
from gateway.config.problems import ConfigError, Place, Problem
from gateway.config.yaml_reader import MAX_ALIASED_NODES, _character_problem, read_yaml


def read(text: str) -> Node:
    problems: list[Problem] = []
    node = read_yaml(text, "f", problems)
    assert problems == []
    return node


def plain(text: str) -> Any:
    return read(text).plain()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("# nothing", None), ("~", None), ("null", None), ("Null", "Null"),
        ("true", True), ("false", False), ("yes", "yes"), ("off", "off"), ("True", "True"),
        ("0", 0), ("-7", -7), ("+7", "+7"), ("010", "010"), ("0x10", "0x10"), ("1_000", "1_000"),
        ("1.5", 1.5), ("1e3", 1000.0), (".5", ".5"), ("1e999", "1e999"), (".inf", ".inf"),
        ("12:30", "12:30"), ("2026-01-02", "2026-01-02"), ("9" * 30, "9" * 30), ("'1'", "1"),
        ('"true"', "true"), ("! 1", "1"), ("!!str 1", "1"), ("|\n a\n b\n", "a\nb\n"),
    ],
)  # fmt: skip
def test_scalars_follow_json(text: str, value: Any) -> None:
    result = plain(text)
    assert result == value
    assert type(result) is type(value)


def test_places_of_keys_and_values() -> None:
    root = read("a:\n  - x\n  - b:  y\n")
    assert root.place_of(("a",), key=True) == Place("f", 1, 1)
    assert root.place_of(("a", 1, "b")) == Place("f", 3, 9)
    assert root.place_of(("a", 1, "b"), key=True) == Place("f", 3, 5)
    assert root.place_of(("a", 1, "missing")) == Place("f", 3, 5)
    assert root.place_of(("a", 9)) == Place("f", 2, 3)


def test_aliases_are_copies() -> None:
    root = read("a: &x {k: [1]}\nb: *x\n")
    assert root.plain() == {"a": {"k": [1]}, "b": {"k": [1]}}
    a, b = root.child("a"), root.child("b")
    assert a is not None
    assert b is not None
    assert a.child("k") is not b.child("k")


def test_merge_keys_yield_to_the_mapping() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b], x: 0}\nd: {'<<': 1}\n"
    assert plain(text)["c"] == {"x": 0, "y": 1, "z": 2}
    assert plain(text)["d"] == {"<<": 1}


def test_keys_are_text() -> None:
    assert plain("404: a\nnull: b\ntrue: c\n") == {"404": "a", "null": "b", "true": "c"}


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_depth_is_bounded(opening: str) -> None:
    # libyaml has a bound of its own since PyYAML 6.0.4, which some of these meet first.
    with pytest.raises(ConfigError, match=f"deeper than {MAX_DEPTH} levels|maximum nesting depth"):
        read_yaml(opening * 100_000, "f", [])


def test_depth_is_bounded_through_aliases() -> None:
    levels = [f"a{n}: &a{n} [[[[*a{n - 1}]]]]" for n in range(1, 12)]
    with pytest.raises(ConfigError, match="deeper than"):
        read("\n".join(["a0: &a0 1", *levels]))


def test_aliases_are_bounded() -> None:
    flat = "a: &a [" + "1," * 99 + "1]\n"
    within = (MAX_ALIASED_NODES - 1) // 101
    assert len(plain(flat + "b: [" + "*a," * within + "]")["b"]) == within
    with pytest.raises(ConfigError, match="aliases stand for more than"):
        read(flat + "b: [" + "*a," * (within + 1) + "]")


@pytest.mark.parametrize(
    ("text", "place"), [("a: 1\nb: \x01", "f:2:4"), ("\x00", "f:1:1"), ("a: \ufffe", "f:1:4")]
)
def test_characters_that_yaml_forbids_have_a_place(text: str, place: str) -> None:
    with pytest.raises(ConfigError, match=f"^{place}: not valid YAML: .* is not allowed"):
        read(text)


def test_tags_on_collections() -> None:
    problems: list[Problem] = []
    node = read_yaml(
        "a: !!map {}\nb: !!seq []\nc: !x {}\nd: !!python/object:os.system []\n", "f", problems
    )
    assert node.plain() == {"a": {}, "b": [], "c": {}, "d": []}
    assert [problem.path for problem in problems] == ["c", "d"]


def test_an_error_without_a_place_is_still_an_error() -> None:
    problem = _character_problem(yaml.YAMLError("odd"), "a: 1", "f")
    assert str(problem) == "f: not valid YAML: odd"
