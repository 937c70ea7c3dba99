import pytest

from gateway.config.problems import ConfigError, Place
from gateway.config.toml_reader import _syntax_problem, read_toml

DOCUMENT = """\
title = "x"
a.b = 1

[ server . "log" ]
  level = 'info'

[[routes]]
path = "/a"
[routes.limits]
body = 1
[[routes]]
path = \"\"\"
/b\"\"\"
inline = { x = 1, y = [1, 2] }
"""


@pytest.mark.parametrize(
    ("path", "line", "column"),
    [
        (("title",), 1, 1),
        (("a", "b"), 2, 1),
        (("server", "log"), 4, 3),
        (("server", "log", "level"), 5, 3),
        (("routes",), 7, 3),
        (("routes", 0, "path"), 8, 1),
        (("routes", 0, "limits", "body"), 10, 1),
        (("routes", 1), 11, 3),
        (("routes", 1, "path"), 12, 1),
        (("routes", 1, "inline", "y", 1), 14, 1),
    ],
)
def test_places(path: tuple[str | int, ...], line: int, column: int) -> None:
    assert read_toml(DOCUMENT, "f", []).place_of(path) == Place("f", line, column)


def test_values() -> None:
    assert read_toml("a = 1.5\nb = [true]\nc = 2026-01-02\n", "f", []).plain() == {
        "a": 1.5,
        "b": [True],
        "c": "2026-01-02",
    }


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a = ", "f:1: not valid TOML: invalid value"),
        ('a = "', "f:1: not valid TOML: unterminated string"),
        ("a = " + "[" * 100_000, "nested deeper"),
        (".".join("a" * 40) + " = 1", "nested deeper"),
        ("a = 2026-99-99", "not valid TOML"),
        ("a = " + "9" * 5000, "not valid TOML"),
    ],
)
def test_errors(source: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_toml(source, "f", [])


def test_an_error_without_a_place_is_still_an_error() -> None:
    """A later ``tomllib`` may word its messages in another way."""
    assert str(_syntax_problem("odd", "", "f")) == "f: not valid TOML: odd"
