from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.config.problems import Problem
from gateway.config.yaml_reader import read_yaml
from gateway.config.yaml_writer import write_yaml

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=10) | st.sampled_from(
    [
        "off",
        "true",
        "null",
        "~",
        "-",
        "- a",
        "a: b",
        "#",
        "a #b",
        "*a",
        "&a",
        "!a",
        "{",
        "1",
        "1e5",
        "<<x",
        "a:",
        "%",
        "@",
        "---",
        "é",
    ]
)
keys = text.filter(lambda key: key != "<<")
scalar = st.none() | st.booleans() | st.integers(-(10**17), 10**17) | text
tree = st.recursive(
    scalar,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=10,
)


@given(tree)
def test_reads_back_to_the_same_data(data: Any) -> None:
    problems: list[Problem] = []
    assert read_yaml(write_yaml(data, lambda path: "a comment: [{"), "f", problems).plain() == data
    assert problems == []


def test_layout() -> None:
    data = {"a": {"b": 1, "c": []}, "d": [{"e": "on", "f": ["x"]}, [1]], "g": {}}
    assert write_yaml(data, lambda path: "/".join(map(str, path)) if path[0] == "a" else "") == (
        "a:\n  b: 1   # a/b\n  c: []  # a/c\nd:\n  - e: on\n    f:\n      - x\n  - - 1\ng: {}\n"
    )
