import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from gateway.config import load

Run = Callable[..., Result]


def test_show_prints_what_was_set(gateway: Run) -> None:
    result = gateway("config", "show")
    assert result.exit_code == 0
    assert result.output.startswith("server:\n  workers: 2\nservices:\n  a:\n    endpoints:\n")


@pytest.mark.parametrize("arguments", [[], ["--effective"], ["--effective", "--sources"]])
def test_what_show_prints_is_a_configuration(gateway: Run, arguments: list[str]) -> None:
    Path("again.yaml").write_text(gateway("config", "show", *arguments).output)
    assert load(Path("again.yaml"), {}, {}).config == load(Path("gateway.yaml"), {}, {}).config


def test_show_sources(gateway: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_SERVER__DRAIN_TIMEOUT", "5s")
    arguments = ["--effective", "--sources", "--set", "server.log.level=debug"]
    lines = [
        " ".join(line.split()) for line in gateway("config", "show", *arguments).output.splitlines()
    ]
    assert "workers: 2 # gateway.yaml:1:19" in lines
    assert "drain_timeout: 5s # $GATEWAY_SERVER__DRAIN_TIMEOUT" in lines
    assert "level: debug # --set server.log.level" in lines
    assert "http: 0.0.0.0:8000 # default" in lines


def test_show_as_json(gateway: Run) -> None:
    data = json.loads(gateway("config", "show", "--format", "json", "--effective").output)
    assert data["server"]["workers"] == 2
    rows = json.loads(gateway("config", "show", "--format", "json", "--sources").output)
    assert rows["server.workers"] == {"value": 2, "source": "gateway.yaml:1:19"}
    assert rows["services.a.endpoints[0].weight"]["source"] == "gateway.yaml:3:43"


def test_show_refuses_a_broken_configuration(gateway: Run) -> None:
    result = gateway("config", "show", "--set", "server.workers=0")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("--set server.workers: server.workers: must be auto")


def test_the_last_setting_for_a_key_counts(gateway: Run) -> None:
    arguments = ["--set", "server.workers=0", "--set", "server.workers=3"]
    assert "workers: 3\n" in gateway("config", "show", *arguments).output


def test_schema(gateway: Run) -> None:
    schema = json.loads(gateway("config", "schema").output)
    assert set(schema["properties"]) == {
        "server", "services", "routes", "rate_limits", "store", "state", "auth",
    }  # fmt: skip


def test_diff(gateway: Run) -> None:
    text = Path("gateway.yaml").read_text()
    Path("same.yaml").write_text(f"# a comment\n{text}".replace("workers: 2", "workers: '2'"))
    result = gateway("config", "diff", "same.yaml")
    assert (result.exit_code, result.output) == (0, "no difference\n")
    Path("new.yaml").write_text(text.replace("workers: 2", "workers: 3"))
    result = gateway("config", "diff", "gateway.yaml", "new.yaml")
    assert (result.exit_code, result.output) == (1, "~ server.workers: 2 → 3\n")
    result = gateway("config", "diff", "new.yaml", "gateway.yaml")
    assert result.output == "~ server.workers: 3 → 2\n"
    result = gateway("config", "diff", "new.yaml", "--set", "server.workers=4")
    assert result.output == "no difference\n"


def test_diff_with_a_broken_file(gateway: Run) -> None:
    result = gateway("config", "diff", "nope.yaml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "nope.yaml: cannot be read" in result.stderr
