"""The verbs for a running instance find its directory."""

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run


@pytest.fixture(params=["reload", "drain", "stop", "status", "health"])
def verb(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_a_broken_file_still_says_where(gateway: Run, verb: str) -> None:
    Path("gateway.yaml").write_text("server: {run_dir: /tmp/nowhere, workers: x}\nroutes: [{}]")
    done = gateway(verb)
    assert done.exit_code == 1
    assert done.stderr.startswith("gateway: no gateway runs with run_dir /tmp/nowhere. ")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("server: [", "gateway.yaml:2:1: not valid YAML"),
        ("- a", "gateway.yaml:1:1: must be a mapping"),
        ("server: []", "gateway.yaml:1:9: server: must be a mapping"),
        ("server: {run_dir: relative}", "gateway.yaml:1:19: server.run_dir: "),
        ("server: {run_dir: '${NOT_SET}'}", "gateway.yaml:1:19: server.run_dir: "),
        ("server: {run_dir: /a, run_dir: /b}", "gateway.yaml:1:23: server.run_dir: "),
    ],
)
def test_a_file_that_does_not_say_where(gateway: Run, verb: str, text: str, problem: str) -> None:
    Path("gateway.yaml").write_text(text)
    done = gateway(verb)
    assert done.exit_code == 1
    assert done.stderr.startswith(problem)
    assert done.stderr.endswith("Name the directory: --set server.run_dir=DIR\n")


def test_the_command_line_says_where(gateway: Run, verb: str) -> None:
    Path("gateway.yaml").write_text("server: [")
    done = gateway(verb, "--set", "server.run_dir=/tmp/nowhere")
    assert done.stderr.startswith("gateway: no gateway runs with run_dir /tmp/nowhere. ")
