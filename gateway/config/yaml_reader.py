"""YAML → `Node`.

Works on the parser's events, not on PyYAML's objects: events have places, recursion is bounded
here and not in C, and YAML 1.1's surprises (``on`` is true, ``010`` is 8) never come up. Anchors,
aliases and merge keys (``<<``) work; tags do not.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from gateway.config.document import MAX_DEPTH, Node, plain_scalar, too_deep
from gateway.config.problems import ConfigError, Path, Place, Problem, format_path

MAX_ALIASED_NODES = 10_000
"""Values that aliases may copy in all: stops "billion laughs" documents early."""

_YAML_TAG = "tag:yaml.org,2002:"


def read_yaml(text: str, file: str, problems: list[Problem]) -> Node:
    """Parse one document. Syntax errors raise; what can be survived is added to `problems`."""
    try:
        return _YamlReader(text, file, problems).document()
    except yaml.MarkedYAMLError as error:
        raise ConfigError([_syntax_problem(error, file)]) from None
    except yaml.YAMLError as error:
        raise ConfigError([_character_problem(error, text, file)]) from None


def _syntax_problem(error: yaml.MarkedYAMLError, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
    message = f"not valid YAML: {error.problem or error.context}"
    if error.context and error.problem:
        message += f" {error.context}"
        if error.context_mark and mark and error.context_mark.line != mark.line:
            message += f" (begun in line {error.context_mark.line + 1})"
    if "\\t" in message:
        message += "; indent with spaces, not tabs"
    return Problem(place, "", message)


def _character_problem(error: yaml.YAMLError, text: str, file: str) -> Problem:
    """A `ReaderError`, which has no mark: find the character that YAML does not allow."""
    bad = re.search(
        r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]", text
    )
    if bad is None:
        return Problem(Place(file), "", f"not valid YAML: {error}")
    before = text[: bad.start()]
    place = Place(file, before.count("\n") + 1, bad.start() - before.rfind("\n"))
    return Problem(place, "", f"not valid YAML: the character {bad[0]!r} is not allowed")


class _YamlReader:
    def __init__(self, text: str, file: str, problems: list[Problem]) -> None:
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=yaml.CSafeLoader))
        self._file = file
        self._problems = problems
        self._anchors: dict[str, Node | None] = {}  # None while the anchored value is still open
        self._aliased_nodes = 0

    def document(self) -> Node:
        root = Node(None, Place(self._file, 1, 1))
        next(self._events)  # stream start
        if isinstance(next(self._events), yaml.DocumentStartEvent):
            root = self._value(next(self._events), ())
            next(self._events)  # document end
            following = next(self._events)
            if isinstance(following, yaml.DocumentStartEvent):
                self._report(following, (), "a second document begins here; one file holds one")
        return root

    def _value(self, event: Any, path: Path) -> Node:
        place = self._place(event)
        if len(path) > MAX_DEPTH:
            raise too_deep(place, path)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, place, path)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = Node(self._scalar(event, path), place)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._check_tag(event, path, "seq")
            node = Node(self._sequence(path), place)
        else:
            self._check_tag(event, path, "map")
            node = Node(self._mapping(path), place)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _scalar(self, event: Any, path: Path) -> Any:
        text: str = event.value
        if event.tag is None and event.implicit[0]:
            return plain_scalar(text)
        self._check_tag(event, path, "str")
        return text

    def _sequence(self, path: Path) -> list[Node]:
        nodes: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            nodes.append(self._value(event, (*path, len(nodes))))
        return nodes

    def _mapping(self, path: Path) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._report(event, path, "a key must be text")
                self._value(event, path)
                self._value(next(self._events), path)
                continue
            key: str = event.value
            node = self._value(next(self._events), (*path, key))
            node.key_place = self._place(event)
            if key == "<<" and event.implicit[0]:
                self._merge(node, merged, path)
            elif key in entries:
                first = entries[key].key_place
                line = first.line if first else 0
                self._report(event, (*path, key), f"the key {key!r} is already in line {line}")
            else:
                entries[key] = node
        return {**merged, **entries}

    def _merge(self, node: Node, merged: dict[str, Node], path: Path) -> None:
        """``<<: *base`` or ``<<: [*a, *b]``: the mapping's own keys win, then the earlier ones."""
        sources = node.value if isinstance(node.value, list) else [node]
        for source in sources:
            if isinstance(source.value, dict):
                for key, value in source.value.items():
                    merged.setdefault(key, value)
            else:
                problem = "<< needs a mapping or a list of mappings"
                self._problems.append(Problem(node.place, format_path(path), problem))

    def _alias(self, event: Any, place: Place, path: Path) -> Node:
        # An anchor that is not known is a syntax error of the parser's composer, which is not used.
        if event.anchor not in self._anchors:
            self._report(event, path, f"the alias *{event.anchor} has no anchor &{event.anchor}")
            return Node(None, place, broken=True)
        node = self._anchors[event.anchor]
        if node is None:
            self._report(event, path, f"the alias *{event.anchor} stands inside its own anchor")
            return Node(None, place, broken=True)
        return self._copy(node, path)

    def _copy(self, node: Node, path: Path) -> Node:
        self._aliased_nodes += 1
        if self._aliased_nodes > MAX_ALIASED_NODES:
            message = f"aliases stand for more than {MAX_ALIASED_NODES} values"
            raise ConfigError([Problem(node.place, format_path(path), message)])
        if len(path) > MAX_DEPTH:
            raise too_deep(node.place, path)
        value = node.value
        if isinstance(value, dict):
            value = {key: self._copy(child, (*path, key)) for key, child in value.items()}
        elif isinstance(value, list):
            value = [self._copy(child, (*path, index)) for index, child in enumerate(value)]
        return Node(value, node.place, node.key_place)

    def _check_tag(self, event: Any, path: Path, kind: str) -> None:
        if event.tag not in (None, "!", _YAML_TAG + kind):
            tag = event.tag.replace(_YAML_TAG, "!!")
            self._report(event, path, f"the tag {tag} is not supported; leave it out")

    def _report(self, event: Any, path: Path, message: str) -> None:
        self._problems.append(Problem(self._place(event), format_path(path), message))

    def _place(self, event: Any) -> Place:
        return Place(self._file, event.start_mark.line + 1, event.start_mark.column + 1)
