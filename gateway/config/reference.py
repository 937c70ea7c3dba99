"""The schema as documentation: JSON Schema for editors, tables for people."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from gateway.config.reflect import is_collection, keys_of, section_of
from gateway.config.schema import Config
from gateway.config.section import Section
from gateway.config.values import format_value


@dataclass(frozen=True, slots=True)
class Key:
    """One row of the reference."""

    path: str
    """Dotted; ``NAME`` and ``[]`` stand for the items of a mapping or list."""
    type: str
    default: str
    """As written in a file; empty for none."""
    required: bool
    """Whether it must be given."""
    meaning: str


def keys() -> Iterator[Key]:
    """All keys of the configuration, in the order of the schema."""
    yield from _keys(Config, "", _schema_of_mappings())


def _keys(section: type[Section], prefix: str, schema: dict[str, Any]) -> Iterator[Key]:
    node = schema if section is Config else schema["$defs"][section.__name__]
    for name, field in keys_of(section).items():
        path = f"{prefix}{name}"
        inner = section_of(field.annotation)
        meaning = field.description or ""
        if inner is None:
            default = _default(field, node["properties"][name])
            kind = _type(node["properties"][name])
            yield Key(path, kind, default, field.is_required(), meaning)
            continue
        many = is_collection(field.annotation)
        kind = _collection(field) if many else "mapping"
        yield Key(path, kind, "", field.is_required(), meaning)
        if many:
            path += "[]" if kind == "list" else ".NAME"
        yield from _keys(inner, f"{path}.", schema)


def _collection(field: FieldInfo) -> str:
    return "list" if "tuple" in str(field.annotation) else "mapping"


def _default(field: FieldInfo, node: dict[str, Any]) -> str:
    if field.is_required():
        return ""
    if "x-default" in node:
        return str(node["x-default"])
    value = node.get("default")
    return "" if value is None else format_value(value)


def _type(node: dict[str, Any]) -> str:
    """A short name for the type of a plain value."""
    if name := node.get("x-type"):
        return str(name)
    if "enum" in node:
        return " | ".join(f"`{choice}`" for choice in node["enum"])
    if "anyOf" in node:
        choices = [choice for choice in node["anyOf"] if choice.get("type") != "null"]
        if choices[-1].get("type") == "array":
            return f"{_type(choices[0])} or list"
        return " or ".join(dict.fromkeys(_type(choice) for choice in choices))
    if node.get("type") == "array":
        return f"list of {_type(node['items'])}"
    name = str(node.get("type", ""))
    return {"string": "text", "integer": "number"}.get(name, name)


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the configuration file, with defaults as written in a file."""
    schema = _schema_of_mappings()
    for section in set(_sections(Config)):
        if section.shorthand:
            mapping = schema["$defs"][section.__name__]
            short = {"type": list(section.shorthand)}
            schema["$defs"][section.__name__] = {"anyOf": [short, mapping]}
    return schema


def _schema_of_mappings() -> dict[str, Any]:
    """The schema without the shorthands of sections."""
    schema = Config.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Gateway configuration"
    for section in _sections(Config):
        node = schema if section is Config else schema["$defs"][section.__name__]
        defaults = _written_defaults(section)
        for name, entry in node["properties"].items():
            entry.pop("title", None)
            if "default" in entry:
                entry["default"] = defaults[name]
    return schema


def _sections(section: type[Section]) -> Iterator[type[Section]]:
    yield section
    for field in section.model_fields.values():
        if inner := section_of(field.annotation):
            yield from _sections(inner)


def _written_defaults(section: type[Section]) -> dict[str, Any]:
    """Key → default in the form of the file: ``10s``, not 10.0."""
    optional = {
        name: field.get_default(call_default_factory=True)
        for name, field in section.model_fields.items()
        if not field.is_required()
    }
    written: dict[str, Any] = section.model_construct(**optional).model_dump(
        mode="json", by_alias=True, include=set(optional)
    )
    return written
