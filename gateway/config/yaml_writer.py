"""Plain data → YAML that `read_yaml` reads back to the same data, with a comment per value."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from gateway.config.document import plain_scalar
from gateway.config.problems import Path

_SAFE = re.compile(r"[A-Za-z0-9/_.+][A-Za-z0-9/_.:+@%{}*-]*(?<!:)")
"""Text that needs no quotes outside of flow collections, whatever stands around it."""

Comment = Callable[[Path], str]
"""Path of a value → the comment beside it; empty for none."""


def write_yaml(data: Any, comment: Comment = lambda path: "") -> str:
    """Block style, two spaces, one value per line."""
    lines = [(text, comment(path) if path else "") for text, path in _lines(data, (), "")]
    width = max((len(text) for text, note in lines if note), default=0)
    return "".join(f"{text:<{width}}  # {note}\n" if note else f"{text}\n" for text, note in lines)


def _lines(data: Any, path: Path, indent: str) -> Iterator[tuple[str, Path]]:
    """Text and, if the line holds a value, the value's path."""
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from _entry(f"{indent}{_scalar(str(key))}:", value, (*path, key), indent)
    elif isinstance(data, list | tuple) and data:
        for index, value in enumerate(data):
            yield from _entry(f"{indent}-", value, (*path, index), indent)
    else:
        yield f"{indent}{_leaf(data)}", path


def _entry(head: str, value: Any, path: Path, indent: str) -> Iterator[tuple[str, Path]]:
    if isinstance(value, dict | list | tuple) and value:
        inner = list(_lines(value, path, indent + "  "))
        if head.endswith("-"):  # "- key: value": the first line moves up beside the dash
            text, first = inner[0]
            inner[0] = (f"{head} {text.removeprefix(indent + '  ')}", first)
        else:
            yield head, ()
        yield from inner
    else:
        yield f"{head} {_leaf(value)}", path


def _leaf(value: Any) -> str:
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list | tuple):
        return "[]"
    return _scalar(value) if isinstance(value, str) else json.dumps(value)


def _scalar(text: str) -> str:
    if _SAFE.fullmatch(text) and isinstance(plain_scalar(text), str):
        return text
    # Escapes of surrogate pairs are JSON's own; YAML wants the character itself.
    return json.dumps(text, ensure_ascii=not text.isprintable())
