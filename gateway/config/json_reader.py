"""JSON → `Node`.

The standard decoder decides what is JSON (RFC 8259); as it tells no places, a second pass over the
tokens of the then valid text builds the nodes.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

from gateway.config.document import MAX_DEPTH, Node, too_deep
from gateway.config.problems import ConfigError, Path, Place, Problem, format_path

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def read_json(text: str, file: str, problems: list[Problem]) -> Node:
    """Parse one document. Syntax errors raise; duplicate keys are added to `problems`."""
    if not text.strip():
        return Node(None, Place(file, 1, 1))
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        place = Place(file, error.lineno, error.colno)
        message = f"not valid JSON: {error.msg[0].lower()}{error.msg[1:]}"
        raise ConfigError([Problem(place, "", message)]) from None
    except RecursionError:
        raise too_deep(Place(file), ()) from None
    except ValueError as error:  # a number with thousands of digits
        raise ConfigError([Problem(Place(file), "", f"not valid JSON: {error}")]) from None
    return _JsonReader(text, file, problems).document()


class _JsonReader:
    """Builds nodes from the tokens of a text that is known to be valid."""

    def __init__(self, text: str, file: str, problems: list[Problem]) -> None:
        self._tokens: Iterator[re.Match[str]] = _TOKEN.finditer(text)
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._file = file
        self._problems = problems

    def document(self) -> Node:
        return self._value(next(self._tokens), ())

    def _value(self, token: re.Match[str], path: Path) -> Node:
        place = self._place(token)
        if len(path) > MAX_DEPTH:
            raise too_deep(place, path)
        if token[0] == "{":
            return Node(self._mapping(path), place)
        if token[0] == "[":
            return Node(self._sequence(path), place)
        if token[0] in ("NaN", "Infinity", "-Infinity"):
            self._problems.append(
                Problem(place, format_path(path), f"not valid JSON: {token[0]} is not a number")
            )
            return Node(None, place)
        value: Any = json.loads(token[0])
        return Node(value, place)

    def _sequence(self, path: Path) -> list[Node]:
        nodes: list[Node] = []
        while (token := next(self._tokens))[0] != "]":
            if token[0] != ",":
                nodes.append(self._value(token, (*path, len(nodes))))
        return nodes

    def _mapping(self, path: Path) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        while (token := next(self._tokens))[0] != "}":
            if token[0] == ",":
                continue
            key: str = json.loads(token[0])
            next(self._tokens)  # the colon
            node = self._value(next(self._tokens), (*path, key))
            node.key_place = self._place(token)
            first = entries.setdefault(key, node)
            if first is not node and first.key_place:
                message = f"the key {key!r} is already in line {first.key_place.line}"
                self._problems.append(Problem(node.key_place, format_path((*path, key)), message))
        return entries

    def _place(self, token: re.Match[str]) -> Place:
        line = bisect_right(self._line_starts, token.start())
        return Place(self._file, line, token.start() - self._line_starts[line - 1] + 1)
