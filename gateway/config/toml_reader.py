"""TOML → `Node`.

``tomllib`` tells no places. They are found again by looking for table headers and keys at the
beginnings of lines; what stands inside an inline table or array has the place of its line's key.
"""

import re
import tomllib
from collections import Counter
from typing import Any

from gateway.config.document import MAX_DEPTH, Node, too_deep
from gateway.config.problems import ConfigError, Path, Place, Problem

_KEY = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_LINE = re.compile(
    rf"^[ \t]*(?:(?P<open>\[\[?)[ \t]*(?P<table>{_DOTTED})[ \t]*\]|(?P<key>{_DOTTED})[ \t]*=)",
    re.MULTILINE,
)
_ERROR_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def read_toml(text: str, file: str, problems: list[Problem]) -> Node:
    """Parse one document; syntax errors raise. Nothing is added to `problems`."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_syntax_problem(str(error), text, file)]) from None
    except RecursionError:
        raise too_deep(Place(file), ()) from None
    except ValueError as error:  # a number or date out of range
        raise ConfigError([Problem(Place(file), "", f"not valid TOML: {error}")]) from None
    return _node(data, (), Place(file, 1, 1), _key_places(text, file))


def _syntax_problem(message: str, text: str, file: str) -> Problem:
    found = _ERROR_PLACE.search(message)
    if found is None:
        return Problem(Place(file), "", f"not valid TOML: {message}")
    line, column = found[1], found[2]
    place = Place(file, int(line), int(column)) if line else Place(file, text.count("\n") + 1)
    what = message[: found.start()]
    return Problem(place, "", f"not valid TOML: {what[0].lower()}{what[1:]}")


def _key_places(text: str, file: str) -> dict[Path, Place]:
    """Path of each key that begins a line → its place."""
    places: dict[Path, Place] = {}
    table: Path = ()
    indexes: Counter[Path] = Counter()
    line, counted_to = 1, 0
    for match in _LINE.finditer(text):
        group = "table" if match["table"] else "key"
        line += text.count("\n", counted_to, match.start(group))
        counted_to = match.start(group)
        place = Place(file, line, counted_to - text.rfind("\n", 0, counted_to))
        path = tuple(_unquote(key) for key in re.findall(_KEY, match[group]))
        if group == "key":
            places.setdefault((*table, *path), place)
            continue
        table = _with_indexes(path, indexes)
        if match["open"] == "[[":
            places.setdefault(table, place)
            table = (*table, indexes[table])
            indexes[table[:-1]] += 1
        places[table] = place
    return places


def _with_indexes(path: tuple[str, ...], indexes: Counter[Path]) -> Path:
    """``[[a]]`` … ``[a.b]`` means the last ``a``: put its index into the path."""
    resolved: Path = ()
    for key in path[:-1]:
        resolved = (*resolved, key)
        if resolved in indexes:
            resolved = (*resolved, indexes[resolved] - 1)
    return (*resolved, path[-1])


def _unquote(key: str) -> str:
    return key[1:-1] if key[0] in "\"'" else key


def _node(data: Any, path: Path, place: Place, places: dict[Path, Place]) -> Node:
    if len(path) > MAX_DEPTH:
        raise too_deep(place, path)
    place = places.get(path, place)
    if isinstance(data, dict):
        entries = {key: _node(value, (*path, key), place, places) for key, value in data.items()}
        for node in entries.values():
            node.key_place = node.place
        return Node(entries, place)
    if isinstance(data, list):
        items = [_node(item, (*path, index), place, places) for index, item in enumerate(data)]
        return Node(items, place)
    # Dates and times have no use in a configuration; as text they get a clear message.
    return Node(data if isinstance(data, str | int | float) else str(data), place)
