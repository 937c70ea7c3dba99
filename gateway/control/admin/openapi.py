"""The OpenAPI document, made from the table of operations and the models that they use."""

import re
from collections.abc import Iterable, Sequence
from importlib import metadata
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from gateway.config.reference import json_schema
from gateway.config.reflect import keys_of, section_of
from gateway.config.schema import Config
from gateway.config.section import Section
from gateway.config.stored import KINDS, Kind
from gateway.control.admin.errors import STATUS, ErrorBody
from gateway.control.admin.operation import DEFAULT_LIMIT, MAX_LIMIT, Operation
from gateway.control.admin.planned import PLURALS

__all__ = ["openapi_document"]

DESCRIPTION = """\
Users, credentials, and the stored routes, services and policies of a gateway.

Every call needs a token with a role: `registrar` registers instances of the one service that its
token names and may do nothing else, `viewer` reads, `operator` changes routes, keys and sessions,
`admin` everything. What has a version is answered with an ETag and changed with If-Match. Lists
come in pages: give `next` as `after`. Whatever is not a success is an `ErrorBody`.
"""

_REFERENCE = re.compile(r'"#/components/schemas/(\w+)"')

REFUSALS: dict[int, str] = {
    400: "The request cannot be understood.",
    401: "No token, or one that does not count.",
    403: "The token's role does not allow it, or the Host is another's.",
    404: "There is no such thing.",
    409: "It does not go together with what exists.",
    412: "It has been changed since; the ETag says to which version.",
    413: "The body is too large.",
    415: "The body is not announced as JSON.",
    422: "The body is not valid; `problems` lists all that is wrong.",
    428: "If-Match is missing.",
    500: "The gateway has failed.",
    503: "The store cannot be reached. Proxying goes on.",
}


def openapi_document(operations: Sequence[Operation]) -> dict[str, Any]:
    """OpenAPI 3.1, complete: each operation with all of its answers."""
    models, names = _schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        item = paths.setdefault(operation.path, {})
        item[operation.method.lower()] = _operation(operation, names)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gateway admin API",
            "version": metadata.version("gateway"),
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://127.0.0.1:8001"}],
        "security": [{"token": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(map(_tag, operations))],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": models,
        },
    }


Names = dict[tuple[type[BaseModel], JsonSchemaMode], str]


def _schemas(operations: Iterable[Operation]) -> tuple[dict[str, Any], Names]:
    """All models by name, and the reference to each."""
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {
        (ErrorBody, "serialization"): None
    }
    for operation in operations:
        if operation.answer is not None:
            wanted[operation.answer, "serialization"] = None
        if operation.takes is not None:
            wanted[operation.takes, "validation"] = None
    references, document = models_json_schema(
        list(wanted), ref_template="#/components/schemas/{model}"
    )
    names: Names = {key: str(references[key]["$ref"]) for key in wanted}
    schemas: dict[str, Any] = document["$defs"] | _configuration_schemas()
    schemas["ErrorBody"]["properties"]["code"]["enum"] = [*STATUS, "bad_host", "wrong_host"]
    return dict(sorted(schemas.items())), names


def _configuration_schemas() -> dict[str, Any]:
    """The sections that are stored and all that they hold, as the file is documented."""
    text = orjson.dumps(json_schema()["$defs"]).replace(b"#/$defs/", b"#/components/schemas/")
    known: dict[str, Any] = orjson.loads(text)
    found: dict[str, Any] = {}
    waiting = [section.__name__ for section in _sections().values()]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _without_null_defaults(known[name])
            waiting += _REFERENCE.findall(orjson.dumps(known[name]).decode())
    return found


def _without_null_defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """A default has to be valid itself; that a key is not set is no value."""
    for entry in schema.get("properties", {}).values():
        if entry.get("default", "") is None:
            del entry["default"]
    for choice in schema.get("anyOf", ()):
        _without_null_defaults(choice)
    return schema


def _sections() -> dict[Kind, type[Section]]:
    """Kind → its section of the configuration, as far as this version has it."""
    fields = keys_of(Config)
    found = {
        kind: section_of(fields[key].annotation) for kind, key in KINDS.items() if key in fields
    }
    return {kind: section for kind, section in found.items() if section is not None}


def _who(operation: Operation) -> str:
    registrars = ", or `registrar` for instances of its service" if operation.registrars else ""
    return f"Needs the role `{operation.role}`{registrars}."


def _operation(operation: Operation, names: Names) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": operation.summary,
        "description": _who(operation),
        "tags": [_tag(operation)],
        "responses": _responses(operation, names),
    }
    if parameters := list(_parameters(operation)):
        described["parameters"] = parameters
    if operation.takes is not None:
        schema = _with_section(operation, {"$ref": names[operation.takes, "validation"]})
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    return described


def _with_section(operation: Operation, schema: dict[str, Any]) -> dict[str, Any]:
    """The definition of a route is a route, and so on."""
    kind = next((kind for kind, plural in PLURALS.items() if plural == _tag(operation)), None)
    section = _sections().get(kind) if kind else None
    if section is None:
        return schema
    definition = {"$ref": f"#/components/schemas/{section.__name__}"}
    return {"allOf": [schema, {"properties": {"definition": definition}}]}


def _parameters(operation: Operation) -> Iterable[dict[str, Any]]:
    if "{name}" in operation.path:
        yield _parameter("path", "name", "Its name or id.", {"type": "string"}, required=True)
    for query in operation.query:
        yield _parameter("query", query.name, query.text, {"type": "string"})
    if operation.paged:
        limits = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
        yield _parameter("query", "limit", "How many items at most.", limits)
        yield _parameter("query", "after", "What the page before gave as `next`.",
                         {"type": "string"})  # fmt: skip
    if operation.conditional:
        text = "The ETag of what you have seen, or `*`."
        yield _parameter("header", "If-Match", text, {"type": "string"}, required=True)


def _parameter(
    place: str, name: str, text: str, schema: dict[str, Any], required: bool = False
) -> dict[str, Any]:
    return {
        "in": place,
        "name": name,
        "description": text,
        "required": required,
        "schema": schema,
    }


def _responses(operation: Operation, names: Names) -> dict[str, Any]:
    success: dict[str, Any] = {"description": operation.summary}
    if operation.answer is not None:
        schema = {"$ref": names[operation.answer, "serialization"]}
        success["content"] = {"application/json": {"schema": schema}}
        if "version" in operation.answer.model_fields:
            success["headers"] = {
                "ETag": {"description": "The version.", "schema": {"type": "string"}}
            }
    refused = {400, 401, 403, 500, 503}
    if "{name}" in operation.path:
        refused.add(404)
    if operation.takes is not None:
        refused |= {404, 409, 413, 415, 422}
    if operation.conditional:
        refused |= {409, 412, 428}
    error = {"$ref": names[ErrorBody, "serialization"]}
    return {str(operation.status): success} | {
        str(status): {
            "description": REFUSALS[status],
            "content": {"application/json": {"schema": error}},
        }
        for status in sorted(refused)
    }


def _tag(operation: Operation) -> str:
    return operation.path.split("/")[3]
