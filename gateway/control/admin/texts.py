"""U+0000 in what a client sends: PostgreSQL cannot keep it in a text (its manual, section 8.14)."""

from collections.abc import Iterator
from typing import Any

from gateway.control.admin.errors import FieldProblem, field_of

__all__ = ["can_be_kept", "problems_in"]

Steps = tuple[str | int, ...]


def can_be_kept(text: str) -> bool:
    """Whether every database can keep the text, and look for it."""
    return "\0" not in text


def problems_in(value: Any) -> list[FieldProblem]:
    """The texts of a JSON value that cannot be kept; a key counts for the object that has it."""
    problem = "must not hold the character U+0000"
    places = dict.fromkeys(
        field_of(steps) for steps, text in _texts(value) if not can_be_kept(text)
    )
    return [FieldProblem(field=place, problem=problem) for place in places]


def _texts(value: Any) -> Iterator[tuple[Steps, str]]:
    left: list[tuple[Steps, Any]] = [((), value)]
    while left:
        steps, value = left.pop()
        if isinstance(value, str):
            yield steps, value
        elif isinstance(value, list):
            left += [((*steps, index), item) for index, item in enumerate(value)]
        elif isinstance(value, dict):
            for key, item in value.items():
                yield steps, key
                left.append(((*steps, key), item))
