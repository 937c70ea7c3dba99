"""pydantic's findings → problems in the words of this configuration."""

from typing import Any

from pydantic import ValidationError

from gateway.config.document import Node
from gateway.config.problems import Path, Problem, format_path
from gateway.config.reflect import keys_of, nearest, section_at
from gateway.config.schema import Config
from gateway.config.values import shown

_KEY = "[key]"
"""pydantic's last step for an error in a mapping's key."""


def problems_of(error: ValidationError, root: Node) -> list[Problem]:
    """One problem for each finding, at the place where the value was written."""
    details = error.errors(include_url=False)
    return [_problem(detail, root) for detail in details if not root.is_broken_at(detail["loc"])]


def _problem(detail: Any, root: Node) -> Problem:
    kind: str = detail["type"]
    path: Path = detail["loc"]
    is_key = kind == "extra_forbidden" or path[-1:] == (_KEY,)
    if path[-1:] == (_KEY,):
        path = path[:-1]
    place = root.place_of(path, key=is_key)
    return Problem(place, format_path(path), _message(kind, path, detail))


def _message(kind: str, path: Path, detail: Any) -> str:
    context, value = detail.get("ctx", {}), detail.get("input")
    if kind == "extra_forbidden":
        section = section_at(Config, path[:-1])
        return f"unknown key {path[-1]!r}{nearest(str(path[-1]), keys_of(section or Config))}"
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return str(context["error"])
    if kind in ("model_type", "mapping_type", "dict_type"):
        return f"must be a mapping (key: value), not {shown(value)}"
    if kind in ("tuple_type", "list_type"):
        return f"must be a list, not {shown(value)}"
    if kind == "literal_error":
        choices = [
            choice.strip("'") for choice in context["expected"].replace(" or ", ", ").split(", ")
        ]
        hint = nearest(value, choices) if isinstance(value, str) else ""
        return f"must be {context['expected']}, not {shown(value)}{hint if 'mean' in hint else ''}"
    if kind in ("greater_than_equal", "less_than_equal"):
        bound = "at least" if "ge" in context else "at most"
        return f"must be {bound} {context.get('ge', context.get('le'))}, not {shown(value)}"
    if kind == "string_too_short":
        return "must not be empty"
    if kind == "string_too_long":
        return f"must have at most {context['max_length']} characters"
    message: str = detail["msg"]
    return message[0].lower() + message[1:]
