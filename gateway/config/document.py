"""A configuration file after reading and before validation: plain values that know their place."""

import math
import re
from dataclasses import dataclass
from typing import Any

from gateway.config.problems import ConfigError, Path, Place, Problem, format_path

Scalar = str | int | float | bool | None

MAX_BYTES = 4 << 20
"""Size of a file. Twenty thousand routes fit; a wrong file (a log, an image) does not."""
MAX_DEPTH = 32
"""Nesting of mappings and lists. The schema needs eight; the bound keeps recursion safe."""

_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,3})?")
_CONSTANTS: dict[str, Scalar] = {"true": True, "false": False, "null": None, "~": None, "": None}


@dataclass(slots=True)
class Node:
    """A value and where it stands."""

    value: "Scalar | dict[str, Node] | list[Node]"
    place: Place
    key_place: Place | None = None
    """Inside a mapping: the place of its key."""
    broken: bool = False
    """Its value could not be made out and a problem is known: further ones would only confuse."""

    def plain(self) -> Any:
        """The value as plain Python data."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def place_of(self, path: Path, key: bool = False) -> Place:
        """Where `path` stands, or else the nearest thing around it; with `key`, its key."""
        node, key_place = self, None
        for step in path:
            child = node.child(step)
            if child is None:
                return node.place
            node, key_place = child, child.key_place
        return key_place if key and key_place else node.place

    def is_broken_at(self, path: Path) -> bool:
        """Whether the value at `path`, or one around it, is broken."""
        node: Node | None = self
        for step in path:
            if node is None or node.broken:
                break
            node = node.child(step)
        return node is not None and node.broken

    def child(self, step: str | int) -> "Node | None":
        """The entry of a mapping or list."""
        if isinstance(self.value, dict):
            return self.value.get(str(step))
        if isinstance(self.value, list) and isinstance(step, int) and step < len(self.value):
            return self.value[step]
        return None


def plain_scalar(text: str) -> Scalar:
    """Unquoted text → its value. The grammar is JSON's: everything else (``on``, ``0755``) is text.

    Numbers that a double or 64 bits cannot hold stay text, too.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    match = _NUMBER.fullmatch(text)
    if match is None:
        return text
    if match[2] is None and match[3] is None:
        return int(text)
    number = float(text)
    return number if math.isfinite(number) else text


def too_deep(place: Place, path: Path) -> ConfigError:
    """The error for a document that is nested deeper than any configuration."""
    message = f"is nested deeper than {MAX_DEPTH} levels"
    return ConfigError([Problem(place, format_path(path), message)])
