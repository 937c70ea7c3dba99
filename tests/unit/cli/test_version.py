"""``gateway version``."""

from importlib import metadata

from click.testing import CliRunner

from gateway.cli import main


def test_it_prints_the_installed_version() -> None:
    result = CliRunner().invoke(main, ["version"])
    assert result.exit_code == 0
    assert result.output.startswith(f"gateway {metadata.version('gateway')} (Python 3.")


def test_the_version_is_an_option_too() -> None:
    said = CliRunner().invoke(main, ["--version"])
    assert (said.exit_code, said.output) == (0, CliRunner().invoke(main, ["version"]).output)
