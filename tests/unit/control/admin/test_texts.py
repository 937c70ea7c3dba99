"""Texts that no database keeps are found wherever they stand."""

from typing import Any

import pytest

from gateway.control.admin.texts import problems_in


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        ("\0", [""]),
        ({"a": "\0", "b": "x"}, ["a"]),
        ({"a": {"b": ["x", {"c": "\0"}]}}, ["a.b[1].c"]),
        ({"a": {"\0": "\0x"}}, ["a", "a.\0"]),
        ({"a": 1, "b": None, "c": [True]}, []),
    ],
)
def test_fields(value: Any, fields: list[str]) -> None:
    assert [problem.field for problem in problems_in(value)] == fields
