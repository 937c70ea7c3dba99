"""``gateway demo``: something to put a gateway in front of."""

import sys

import click

from gateway.cli.exits import Exit
from gateway.cli.options import ADDRESS, WORKERS


@click.command()
@click.option("--with-gateway", is_flag=True, help="Start a gateway in front of the services.")
@click.option(
    "--port",
    "base_port",
    type=click.IntRange(0, 65_000),
    default=0,
    metavar="PORT",
    help="Port of the first service, the others follow; 0 takes free ones.  [default: 0]",
)
@click.option(
    "--http", default="127.0.0.1:8000", show_default=True, type=ADDRESS, metavar="HOST:PORT"
)
@click.option(
    "--admin", default="127.0.0.1:8001", show_default=True, type=ADDRESS, metavar="HOST:PORT"
)
@click.option(
    "--status", default="127.0.0.1:8007", show_default=True, type=ADDRESS, metavar="HOST:PORT"
)
@click.option("--workers", default="auto", show_default=True, type=WORKERS, metavar="N|auto")
def demo(
    with_gateway: bool, base_port: int, http: str, admin: str, status: str, workers: str
) -> None:
    """Run six small services: identity, content, commerce, payments, live-classes, vod.

    Every service has /healthz and /echo, which shows what the service received. With
    --with-gateway a gateway runs in front of them, and three requests to try are printed; --http,
    --admin, --status and --workers are the gateway's. INT or TERM ends everything.
    """
    from gateway.demo.launcher import DemoOptions, run
    from gateway.supervisor.errors import StartError

    options = DemoOptions(base_port, with_gateway, http, admin, status, workers)
    try:
        sys.exit(run(options, click.echo))
    except StartError as error:
        click.echo(f"gateway demo: {error}", err=True)
        sys.exit(Exit.NOT_STARTED)
