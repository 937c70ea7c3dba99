"""``gateway config``: show, describe and compare configuration."""

import json
import sys
from pathlib import Path

import click

from gateway.cli.exits import Exit
from gateway.cli.options import config_options, load_or_exit, set_option


@click.group()
def config() -> None:
    """Show, compare and describe configuration.

    \b
    Examples:
      gateway config show                         what is set
      gateway config show --effective --sources   every value, and where it comes from
      gateway config diff new.yaml                what would change
      gateway config schema > gateway.schema.json for editors
    """


@config.command()
@config_options
@click.option("--effective", is_flag=True, help="Every value, defaults included.")
@click.option("--sources", "with_sources", is_flag=True, help="Where each value comes from.")
@click.option(
    "--format", "form", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True
)
def show(
    config_file: Path | None,
    settings: dict[str, str],
    effective: bool,
    with_sources: bool,
    form: str,
) -> None:
    """Show the configuration as the gateway would see it.

    File, environment and flags are merged; the output is itself a valid configuration file.
    With --sources, YAML gets a comment beside each value; JSON becomes an object of
    path → {"value", "source"}. A source is FILE:LINE:COLUMN, $VARIABLE, a flag, or "default".

    \b
    Examples:
      gateway config show -c gateway.yaml
      GATEWAY_SERVER__WORKERS=4 gateway config show --effective --sources

    \b
    Exit codes: 0 ok, 1 the configuration is broken, 2 usage.
    """
    loaded = load_or_exit(config_file, settings)
    from gateway.config.dump import dump, leaves, sources
    from gateway.config.problems import format_path
    from gateway.config.yaml_writer import write_yaml

    data = dump(loaded.config, effective)
    origin = sources(loaded) if with_sources else {}
    if form == "yaml":
        click.echo(write_yaml(data, lambda path: origin.get(path, "")), nl=False)
    elif with_sources:
        rows = {
            format_path(path): {"value": value, "source": origin.get(path, "default")}
            for path, value in leaves(data)
        }
        click.echo(json.dumps(rows, indent=2))
    else:
        click.echo(json.dumps(data, indent=2))


@config.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file.

    \b
    Editors complete and check with it. For VS Code's YAML extension, write as first line
    of the file:
      # yaml-language-server: $schema=gateway.schema.json
    """
    from gateway.config.reference import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


@config.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("other", type=click.Path(path_type=Path), required=False, metavar="[FILE2]")
@set_option
def diff(file: Path, other: Path | None, settings: dict[str, str]) -> None:
    """Compare two configurations by their meaning, defaults included.

    With FILE alone, the configuration that `gateway run` would take now is compared to FILE.
    Order, comments and spelling (10s or 10000ms) make no difference. Routes are recognised by
    name, else by what they match; endpoints by their URL.

    \b
      ~ changed    + only in the new one    - only in the old one

    \b
    Exit codes: 0 no difference, 1 different or broken, 2 usage.
    """
    old = load_or_exit(file if other else None, settings)
    new = load_or_exit(other or file, settings)
    from gateway.config.diff import changes

    found = changes(old.config, new.config)
    for change in found:
        click.echo(str(change))
    if found:
        sys.exit(Exit.FAILED)
    click.echo("no difference")
