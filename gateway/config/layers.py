"""Lays the environment and the flags over the values of the file."""

from collections.abc import Mapping

from gateway.config.document import Node, plain_scalar
from gateway.config.problems import Path, Place, Problem, format_path
from gateway.config.yaml_reader import read_yaml

PREFIX = "GATEWAY_"
SEPARATOR = "__"
"""Between the steps of a path. A variable without it is not configuration: Kubernetes sets
``GATEWAY_PORT`` and ``GATEWAY_SERVICE_HOST`` in each container beside a Service named gateway."""


def overlay_environment(root: Node, environ: Mapping[str, str], problems: list[Problem]) -> None:
    """``GATEWAY_SERVER__WORKERS=4`` sets ``server.workers``."""
    for name in sorted(environ):
        if name.startswith(PREFIX) and SEPARATOR in name:
            steps = name.removeprefix(PREFIX).lower().split(SEPARATOR)
            _overlay(root, steps, _value(environ[name], f"${name}", problems), problems)


def overlay_flags(root: Node, flags: Mapping[str, str], problems: list[Problem]) -> None:
    """``--set server.workers=4`` sets ``server.workers``; `flags` holds path → text."""
    for dotted, text in flags.items():
        value = _value(text, f"--set {dotted}", problems)
        _overlay(root, dotted.split("."), value, problems)


def _value(text: str, source: str, problems: list[Problem]) -> Node:
    """``[a, b]`` and ``{a: b}`` are YAML; anything else is one value as in a file."""
    place = Place(source)
    if not text.lstrip().startswith(("[", "{")):
        return Node(plain_scalar(text), place)
    node = read_yaml(text, source, problems)
    _put_all(node, place)
    return node


def _put_all(node: Node, place: Place) -> None:
    node.place = place
    node.key_place = None
    if isinstance(node.value, dict | list):
        children = node.value.values() if isinstance(node.value, dict) else node.value
        for child in children:
            _put_all(child, place)


def _overlay(root: Node, steps: list[str], value: Node, problems: list[Problem]) -> None:
    node = root
    path: Path = ()
    for position, step in enumerate(steps):
        is_last = position == len(steps) - 1
        if isinstance(node.value, list):
            index = _index(node.value, step)
            if index is None:
                message = (
                    f"has {len(node.value)} entries; {step!r} is not the number of one of them"
                )
                problems.append(Problem(value.place, format_path(path), message))
                return
            path = (*path, index)
            if is_last:
                node.value[index] = value
            node = node.value[index]
            continue
        if not isinstance(node.value, dict):
            node.value = {}
            node.place = value.place
        key = _key(node.value, step)
        path = (*path, key)
        if is_last:
            node.value[key] = value
        node = node.value.setdefault(key, Node(None, value.place))


def _index(items: list[Node], step: str) -> int | None:
    if step.isascii() and step.isdigit() and len(step) < 9 and int(step) < len(items):
        return int(step)
    return None


def _key(entries: Mapping[str, Node], step: str) -> str:
    """The existing key that is meant: variables have neither lower case nor hyphens."""
    if step in entries:
        return step
    folded = _fold(step)
    return next((key for key in entries if _fold(key) == folded), step)


def _fold(key: str) -> str:
    return key.lower().replace("-", "_")
