from typing import Any

import pytest

from gateway.config.document import Node
from gateway.config.layers import overlay_environment, overlay_flags
from gateway.config.problems import Place, Problem
from gateway.config.yaml_reader import read_yaml


def overlaid(text: str, environ: dict[str, str], flags: dict[str, str]) -> Node:
    problems: list[Problem] = []
    root = read_yaml(text, "f", problems)
    overlay_environment(root, environ, problems)
    overlay_flags(root, flags, problems)
    assert problems == []
    return root


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4),
        ("on", "on"),
        ("true", True),
        ("[1, a]", [1, "a"]),
        ("{a: {b: c}}", {"a": {"b": "c"}}),
        ("", None),
        ("a: b", "a: b"),
    ],
)
def test_values_are_as_in_a_file(text: str, value: Any) -> None:
    assert overlaid("{}", {"GATEWAY_A__B": text}, {}).plain() == {"a": {"b": value}}
    assert overlaid("{}", {}, {"a.b": text}).plain() == {"a": {"b": value}}


def test_flags_win_over_the_environment_and_both_over_the_file() -> None:
    root = overlaid(
        "a: {x: 1, y: 1, z: 1}", {"GATEWAY_A__Y": "2", "GATEWAY_A__Z": "2"}, {"a.z": "3"}
    )
    assert root.plain() == {"a": {"x": 1, "y": 2, "z": 3}}
    assert root.place_of(("a", "y")) == Place("$GATEWAY_A__Y")
    assert root.place_of(("a", "z"), key=True) == Place("--set a.z")


def test_existing_keys_are_recognised_in_a_variables_spelling() -> None:
    root = overlaid("a: {Live-Classes: {x: 1}}", {"GATEWAY_A__LIVE_CLASSES__X": "2"}, {})
    assert root.plain() == {"a": {"Live-Classes": {"x": 2}}}


def test_entries_of_lists_go_by_number() -> None:
    root = overlaid("a: [1, {b: 2}]", {"GATEWAY_A__0": "3"}, {"a.1.b": "4"})
    assert root.plain() == {"a": [3, {"b": 4}]}


@pytest.mark.parametrize("step", ["2", "-1", "x", "", "٣", "9" * 20])
def test_other_entries_do_not_exist(step: str) -> None:
    problems: list[Problem] = []
    root = read_yaml("a: [1, 2]", "f", [])
    overlay_flags(root, {f"a.{step}.b": "1"}, problems)
    assert [problem.path for problem in problems] == ["a"]
    assert root.plain() == {"a": [1, 2]}


def test_only_variables_with_two_underscores_count() -> None:
    environ = {
        "GATEWAY_PORT": "1",
        "GATEWAY_SERVICE_HOST": "h",
        "GATEWAY_CONFIG": "f",
        "OTHER__A": "1",
    }
    assert overlaid("{}", environ, {}).plain() == {}


def test_a_broken_list_is_one_problem_at_the_variable() -> None:
    problems: list[Problem] = []
    root = read_yaml("{}", "f", [])
    overlay_environment(root, {"GATEWAY_A__B": "[1", "GATEWAY_A__C": "[!x 1]"}, problems)
    assert [str(problem.place) for problem in problems] == ["$GATEWAY_A__B", "$GATEWAY_A__C:1:2"]
    assert root.is_broken_at(("a", "b"))
