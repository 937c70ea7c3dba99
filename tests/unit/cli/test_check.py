import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import Result

from gateway.cli.options import NO_FILE

Run = Callable[..., Result]
FIVE_MISTAKES = """\
server: {wokers: 4, drain_timeout: 10}
services: {a: {endpoints: [https://a]}}
routes:
  - {path: a, service: b}
"""


def test_a_good_file(gateway: Run) -> None:
    result = gateway("check", "gateway.yaml")
    assert result.exit_code == 0
    assert result.stdout == "gateway.yaml: ok: 2 routes, 1 service, 2 endpoints\n"
    assert gateway("check").stdout == result.stdout


def test_a_good_file_as_json(gateway: Run) -> None:
    result = gateway("check", "--format", "json", "gateway.yaml")
    assert json.loads(result.stdout) == {
        "ok": True, "file": "gateway.yaml", "routes": 2, "services": 1, "endpoints": 2,
    }  # fmt: skip


@pytest.fixture
def no_file(gateway: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    Path("gateway.yaml").unlink()
    monkeypatch.setattr(import_module("gateway.config.load"), "DEFAULT_PATHS", ())
    return gateway


def test_no_file_at_all(no_file: Run) -> None:
    result = no_file("check")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == NO_FILE + "\n"


def test_no_file_at_all_as_json(no_file: Run) -> None:
    result = no_file("check", "--format", "json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert (report["ok"], report["file"]) == (False, "")
    assert [problem["message"] for problem in report["problems"]] == ["no configuration file"]


def test_the_file_may_be_an_option(gateway: Run) -> None:
    Path("other.yaml").write_text("server: {workers: 0}")
    assert gateway("check", "-c", "other.yaml").stderr.startswith("other.yaml:1:19: server.workers")
    assert gateway("check", "--set", "server.workers=x").stderr.startswith("--set server.workers: ")
    both = gateway("check", "-c", "other.yaml", "gateway.yaml")
    assert both.exit_code == 2
    assert "is it gateway.yaml or other.yaml?" in both.stderr


def test_what_is_no_configuration_file(gateway: Run) -> None:
    Path("x.txt").touch()
    Path("folder").mkdir()
    problems = [gateway("check", name).stderr.splitlines()[0] for name in ("x.txt", "folder/")]
    assert problems == [
        "x.txt: ends in .txt; name it .yaml, .toml or .json, after what is in it",
        "folder: cannot be read: Is a directory",
    ]
    assert gateway("check", "none.txt").stderr.startswith("none.txt: cannot be read: No such file")


def test_every_mistake_is_listed(gateway: Run) -> None:
    Path("bad.yaml").write_text(FIVE_MISTAKES)
    result = gateway("check", "bad.yaml")
    assert result.exit_code == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert [line.split(": ")[0] for line in lines[:-1]] == [
        "bad.yaml:1:10", "bad.yaml:1:36", "bad.yaml:2:28", "bad.yaml:4:12", "bad.yaml:4:24",
    ]  # fmt: skip
    assert lines[-1] == "5 problems"


def test_every_mistake_is_listed_as_json(gateway: Run) -> None:
    Path("bad.yaml").write_text(FIVE_MISTAKES)
    result = gateway("check", "--format", "json", "bad.yaml")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert (report["ok"], report["file"], len(report["problems"])) == (False, "bad.yaml", 5)
    assert report["problems"][0] == {
        "file": "bad.yaml", "line": 1, "column": 10, "path": "server.wokers",
        "message": "unknown key 'wokers'; did you mean 'workers'?",
    }  # fmt: skip


def test_the_environment_counts(gateway: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_SERVER__WORKERS", "many")
    result = gateway("check", "gateway.yaml")
    assert result.exit_code == 1
    assert result.stderr.startswith("$GATEWAY_SERVER__WORKERS: server.workers: must be auto")
    assert result.stderr.endswith("\n1 problem\n")


def test_a_missing_file(gateway: Run) -> None:
    result = gateway("check", "nope.yaml")
    assert result.exit_code == 1
    assert "nope.yaml: cannot be read: No such file or directory" in result.stderr


def test_what_only_the_route_table_refuses(gateway: Run) -> None:
    Path("bad.yaml").write_text(
        "services: {a: {endpoints: [http://a]}}\nroutes: [{path: /a%2Fb, service: a}]"
    )
    assert "bad.yaml:2:17: routes[0].path: " in gateway("check", "bad.yaml").stderr
