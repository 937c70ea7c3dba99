"""JSON that has one reading."""

from typing import Any

import pytest

from gateway.identity.strict_json import loads, loads_object


@pytest.mark.parametrize(
    ("data", "value"),
    [(b'{"a": [1.5, "\\u00e4", null]}', {"a": [1.5, "ä", None]}), (b"[]", []), (b"7", 7)],
)
def test_what_has_one_reading(data: bytes, value: Any) -> None:
    assert loads(data) == value


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'{"a": {"b": 1, "b": 1}}', "a repeated key"),
        (b'["\\ud800"]', "half of a surrogate pair"),
        (b'["\\ud800", ' + b"[" * 400 + b"]" * 400 + b"]", "half of a surrogate pair"),
        (b'["\\u0041", ' + b"[" * 100_000, "nested too deeply"),
        (b"[1e999]", "too large"),
        (b"[-Infinity]", "a number that is none"),
        (b"[12345678901234567]", "too many digits"),
        (b'"\xff"', "not UTF-8"),
        (b"", "not JSON"),
    ],
)
def test_what_has_none(data: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        loads(data)


def test_an_object_is_no_list() -> None:
    assert loads_object(b'{"a": 1}') == {"a": 1}
    with pytest.raises(ValueError, match="not an object"):
        loads_object(b"[]")
