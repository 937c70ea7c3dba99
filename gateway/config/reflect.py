"""Reads the schema itself: which keys there are at a path, for messages and for the reference."""

import difflib
import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from gateway.config.problems import Path
from gateway.config.section import Section

_MASK = str(SecretStr("x"))
"""As in a configuration that is dumped."""


def keys_of(section: type[Section]) -> dict[str, FieldInfo]:
    """Key as written in the file → field."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def section_of(annotation: Any) -> type[Section] | None:
    """The section that a field's type holds: directly, or as the items of a list or mapping."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    if get_origin(annotation) is Annotated:
        return section_of(get_args(annotation)[0])
    for argument in reversed(get_args(annotation)):
        if found := section_of(argument):
            return found
    return None


def is_collection(annotation: Any) -> bool:
    """Whether a field holds many values: a list or a mapping."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return is_collection(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return any(is_collection(argument) for argument in get_args(annotation))
    return isinstance(origin, type) and issubclass(origin, tuple | Mapping)


def section_at(root: type[Section], path: Path) -> type[Section] | None:
    """The section that the value at `path` must be; None if it is a plain value or unknown."""
    section: type[Section] | None = root
    steps = iter(path)
    for step in steps:
        if section is None:
            return None
        field = keys_of(section).get(str(step))
        if field is None:
            return None
        section = section_of(field.annotation)
        if section is not None and is_collection(field.annotation) and next(steps, None) is None:
            return None  # the collection itself, not one of its items
    return section


def without_secrets(section: type[Section], value: Any) -> Any:
    """Plain data of a section, valid or not, with a mask where a secret stands."""
    if not isinstance(value, dict):
        return value
    fields = keys_of(section)
    return {
        key: _masked(fields[key].annotation, item) if key in fields else item
        for key, item in value.items()
    }


def _masked(annotation: Any, value: Any) -> Any:
    if _is_secret(annotation):
        return None if value is None else _MASK
    section = section_of(annotation)
    if section is None:
        return value
    if not is_collection(annotation):
        return without_secrets(section, value)
    if isinstance(value, dict):
        return {key: without_secrets(section, item) for key, item in value.items()}
    return [without_secrets(section, item) for item in value] if isinstance(value, list) else value


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(map(_is_secret, get_args(annotation)))


def nearest(name: str, choices: Iterable[str]) -> str:
    """``; did you mean 'x'?``, or the choices if they are few, for the end of a message."""
    names = sorted(choices)
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    if not names:
        return ""
    if len(names) <= 16:
        return f"; there are: {', '.join(names)}"
    return ""
