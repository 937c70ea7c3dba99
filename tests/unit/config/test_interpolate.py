import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.document import Node
from gateway.config.interpolate import expand, interpolate
from gateway.config.problems import Place, Problem

ENVIRON = {"A": "1", "EMPTY": "", "_x9": "2", "NESTED": "${A}"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${A}", "1"),
        ("a${A}b${_x9}c", "a1b2c"),
        ("${B:-x}", "x"),
        ("${B:-}", ""),
        ("${B:-http://h:1/}", "http://h:1/"),
        ("${EMPTY}", ""),
        ("${EMPTY:-x}", "x"),
        ("${A:-x}", "1"),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$A {A} $", "$A {A} $"),
        ("${NESTED}", "${A}"),
    ],
)
def test_references(text: str, expected: str) -> None:
    assert expand(text, ENVIRON) == expected


@pytest.mark.parametrize("text", ["${}", "${1}", "${A", "${A-x}", "${A:x}", "${ A}", "a${"])
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(ValueError, match="is not a reference"):
        expand(text, ENVIRON)


@given(st.text().filter(lambda text: "${" not in text))
def test_other_text_stays(text: str) -> None:
    assert expand(text, {}) == text


def test_a_variable_that_is_not_set_breaks_only_its_value() -> None:
    place = Place("f", 2, 3)
    root = Node({"a": Node([Node("${B}", place), Node("${A}", place)], place)}, place)
    problems: list[Problem] = []
    interpolate(root, ENVIRON, problems)
    assert [(problem.place, problem.path) for problem in problems] == [(place, "a[0]")]
    assert root.is_broken_at(("a", 0, "deeper"))
    assert not root.is_broken_at(("a", 1))
    assert root.place_of(("a", 1)) == place
    assert root.plain()["a"][1] == "1"
