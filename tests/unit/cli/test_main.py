import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.verbs import VERBS, Verb

START = "from gateway.cli import main; main(prog_name='gateway')"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", START, *arguments],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_help_lists_every_verb_and_imports_none() -> None:
    code = (
        "import sys\nfrom gateway.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('pydantic', 'yaml', 'asyncio')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    *page, imported = done.stdout.splitlines()
    assert imported == "[]"
    assert all(any(line.startswith(f"  {verb} ") for line in page) for verb in VERBS)


def test_help_has_sections_and_exit_codes() -> None:
    page = CliRunner().invoke(main, ["--help"]).output
    assert "\nConfiguration:\n  check " in page
    assert "Exit codes: 0 ok, 1 failed, 2 usage, 3 could not start." in page


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_can_be_loaded_and_has_help(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: gateway {name} ")


@pytest.mark.parametrize("name", VERBS)
def test_no_summary_is_cut_off(name: str) -> None:
    page = CliRunner().invoke(main, [name, "--help"], terminal_width=80).output
    assert "..." not in page.partition("\nCommands:\n")[2]


@pytest.mark.parametrize("name", ["check", "explain", "config"])
def test_help_teaches_by_examples(name: str) -> None:
    assert f"  gateway {name} " in CliRunner().invoke(main, [name, "--help"]).output


def test_a_wrong_verb_or_option_is_a_usage_error() -> None:
    for arguments in (["nope"], ["--nope"], ["check", "--nope"], ["config", "nope"]):
        done = run(*arguments)
        assert done.returncode == 2
        assert "Usage: gateway" in done.stderr


def test_a_row_that_names_no_command_is_a_mistake_of_ours() -> None:
    assert isinstance(Verb("gateway.cli:main", "").load(), click.Command)
    with pytest.raises(TypeError, match="not a click command"):
        Verb("gateway.cli:HELP", "").load()


def test_a_closed_pipe_is_no_traceback() -> None:
    command = (
        f"{sys.executable} -c 'from gateway.cli import main; main()' config schema | head -c 1"
    )
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout == "{"
    assert done.stderr == ""
