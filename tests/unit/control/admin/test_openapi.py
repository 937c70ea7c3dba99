"""The OpenAPI document: valid, complete, the one that is served and the one in docs/."""

import json
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.unit.control.admin.conftest import Admin

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    text = (ROOT / "docs" / "openapi-admin.json").read_text()
    read: dict[str, Any] = json.loads(text)
    return read


def test_it_is_valid(document: dict[str, Any]) -> None:
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


async def test_it_is_what_the_gateway_serves(admin: Admin, document: dict[str, Any]) -> None:
    served = await admin.call("GET", "/openapi.json", authorization="none")
    assert served.json() == document, "run python tools/gen_docs.py"


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    found = operations(document)
    assert len({operation["operationId"] for _, _, operation in found}) == len(found)
    for method, path, operation in found:
        assert operation["summary"].endswith("."), path
        answers = operation["responses"]
        assert {"401", "403", "500", "503"} <= answers.keys(), path
        assert sum(status < "300" for status in answers) == 1, path
        names = {parameter["name"] for parameter in operation.get("parameters", ())}
        assert ("name" in names) == ("{name}" in path)
        assert ("If-Match" in names) == ("428" in answers)
        assert ("requestBody" in operation) == ("415" in answers), (method, path)


async def test_every_operation_answers(admin: Admin, document: dict[str, Any]) -> None:
    """With one of the answers that it announces, whatever it is asked."""
    for method, path, operation in operations(document):
        body: dict[str, Any] | None = {} if "requestBody" in operation else None
        url = path.removeprefix("/api/v1").replace("{name}", "none")
        answer = await admin.call(method.upper(), url, body, if_match="*")
        assert str(answer.status_code) in operation["responses"], (method, path, answer.text)


def test_definitions_are_sections_of_the_configuration(document: dict[str, Any]) -> None:
    schema = document["paths"]["/api/v1/routes"]["post"]["requestBody"]
    text = json.dumps(schema)
    assert "#/components/schemas/Route" in text
    assert "strip_prefix" in json.dumps(document["components"]["schemas"]["Route"])
