"""Golden configurations: a ``*.gwtest`` file holds an input, a line ``----------`` and the result.

The result is an excerpt of the Plan as JSON (every key that is given must be equal; lists have
the same length), or the exact text of the error. The name tells the format: ``x.gwtest`` is YAML,
``x.toml.gwtest`` and ``x.json.gwtest`` are what they say. Lines ``#: env NAME=VALUE`` and
``#: set KEY=VALUE`` in the input set a variable or a flag.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gateway.config import ConfigError, load
from gateway.config.table import verify

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*.gwtest"))
SEPARATOR = "\n----------\n"
DIRECTIVE = re.compile(r"^#: (env|set) ([^=\n]+)=(.*)$", re.MULTILINE)


def assert_excerpt(expected: Any, actual: Any, path: str = "plan") -> None:
    if isinstance(expected, dict):
        assert isinstance(actual, dict), path
        for key, value in expected.items():
            assert key in actual, f"{path}.{key}"
            assert_excerpt(value, actual[key], f"{path}.{key}")
    elif isinstance(expected, list):
        assert isinstance(actual, list), path
        assert len(actual) == len(expected), path
        for index, value in enumerate(expected):
            assert_excerpt(value, actual[index], f"{path}[{index}]")
    else:
        assert actual == expected, path


def configured(plan: dict[str, Any]) -> dict[str, Any]:
    """The plan without what the gateway adds of its own, which is the same for all files."""
    services = [service for service in plan["services"] if ":" not in service["name"]]
    routes = [route for route in plan["routes"] if route["service"] < len(services)]
    return plan | {"services": services, "routes": routes}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_golden(case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, separator, expected = case.read_text().partition(SEPARATOR)
    assert separator, f"{case.name} has no line {SEPARATOR.strip()}"
    suffix = Path(case.stem).suffix or ".yaml"
    monkeypatch.chdir(tmp_path)
    file = Path(f"gateway{suffix}")
    file.write_text(source)
    directives: dict[str, dict[str, str]] = {"env": {}, "set": {}}
    for kind, name, value in DIRECTIVE.findall(source):
        directives[kind][name] = value
    if not expected.startswith("{"):
        with pytest.raises(ConfigError) as caught:
            verify(load(file, directives["set"], directives["env"]))
        assert str(caught.value) == expected.strip()
        return
    plan = verify(load(file, directives["set"], directives["env"]))
    assert_excerpt(json.loads(expected), configured(json.loads(plan.to_bytes())))


def test_there_are_enough_cases() -> None:
    """A wrong glob would make the test above pass by doing nothing."""
    assert len(CASES) >= 25
