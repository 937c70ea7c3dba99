from pathlib import Path
from typing import Annotated

import jsonschema
import pytest
import yaml

from gateway.config import load
from gateway.config.dump import dump
from gateway.config.reference import json_schema, keys
from gateway.config.reflect import is_collection, nearest, section_at
from gateway.config.routes import Predicate, Route
from gateway.config.schema import Config
from gateway.config.services import Endpoint, Service

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_every_key_has_a_meaning_and_a_type() -> None:
    rows = list(keys())
    assert len(rows) > 50
    assert [row.path for row in rows if not row.meaning.strip()] == []
    assert [row.path for row in rows if not row.type] == []


def test_defaults_are_in_the_form_of_the_file() -> None:
    defaults = {row.path: row.default for row in keys()}
    assert defaults["server.limits.body"] == "10MiB"
    assert defaults["services.NAME.timeouts.total"] == "off"
    assert defaults["server.http"] == "0.0.0.0:8000"
    assert defaults["routes[].auth"] == "required"


def test_what_must_be_given_is_told_from_a_default() -> None:
    required = {row.path: row.required for row in keys()}
    assert required["routes[].path"]
    assert required["routes[].replace_prefix.from"]
    assert not required["routes[].auth"]


def test_the_example_is_good_and_fits_the_schema() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    example = EXAMPLES / "gateway.yaml"
    loaded = load(example, {}, {})
    jsonschema.validate(dump(loaded.config, effective=True), schema)
    written = yaml.safe_load(example.read_text())
    del written["server"]["workers"]  # a ${VARIABLE}, which a schema cannot judge
    jsonschema.validate(written, schema)


@pytest.mark.parametrize(
    "wrong",
    [
        {"x": 1},
        {"routes": [{"path": "a", "service": "a"}]},
        {"services": {"a": {}}},
        {"services": {"a": {"discovery": {}}}},
        {"services": {"a": {"discovery": {"dns": {"name": "a"}, "consul": {"service": "a"}}}}},
    ],
)
def test_the_schema_refuses_what_the_gateway_refuses(wrong: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, json_schema())


def test_sections_are_found_by_path() -> None:
    assert section_at(Config, ()) is Config
    assert section_at(Config, ("services",)) is None
    assert section_at(Config, ("services", "a")) is Service
    assert section_at(Config, ("services", "a", "endpoints", 0)) is Endpoint
    assert section_at(Config, ("routes", 3)) is Route
    assert section_at(Config, ("routes", 3, "headers", "X")) is Predicate
    assert section_at(Config, ("routes", 3, "path")) is None
    assert section_at(Config, ("routes", 3, "path", "deeper")) is None
    assert section_at(Config, ("nope",)) is None


def test_nearest_names() -> None:
    assert nearest("Wrkers", ["workers", "http"]) == "; did you mean 'workers'?"
    assert nearest("zzz", ["b", "a"]) == "; there are: a, b"
    assert nearest("zzz", []) == nearest("zzz", map(str, range(17))) == ""


def test_collections_are_known_under_their_wrappers() -> None:
    assert is_collection(tuple[int, ...])
    assert is_collection(Annotated[tuple[int, ...], "x"] | None)
    assert not is_collection(Annotated[int, "x"] | None)
