"""The command line: ``gateway VERB``. The verbs are listed in ``gateway.cli.verbs``."""

import click

from gateway.cli.verbs import SECTIONS, VERBS

__all__ = ["main"]

HELP = """An API gateway.

\b
The configuration file is the first of: -c FILE, $GATEWAY_CONFIG, ./gateway.yaml,
/etc/gateway/gateway.yaml. Values are taken from, the later winning: defaults,
the file, the environment (GATEWAY_SERVER__WORKERS=4), flags (--set server.workers=4).

\b
Examples:
  gateway check gateway.yaml
  gateway explain GET http://localhost:8000/identity/me
  gateway config show --effective --sources

\b
Exit codes: 0 ok, 1 failed, 2 usage, 3 could not start.
"""


class Gateway(click.Group):
    """Looks verbs up in the table, so that ``gateway --help`` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = VERBS.get(cmd_name)
        return verb.load() if verb else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, rows in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, verb.summary) for name, verb in rows.items()])


def _print_version(context: click.Context, parameter: click.Parameter, is_asked: bool) -> None:
    if is_asked:
        context.invoke(VERBS["version"].load())
        context.exit()


main = Gateway(
    "gateway",
    help=HELP,
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Print the version, as `gateway version` does.",
        )
    ],
    context_settings={"help_option_names": ["-h", "--help"]},
)
