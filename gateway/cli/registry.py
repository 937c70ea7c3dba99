"""``gateway registry``: instances of services, for those who have no discovery of their own."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.desk import LIFETIME, at_desk, json_option, print_rows
from gateway.cli.options import config_options

if TYPE_CHECKING:
    from gateway.administration.desk import Desk
    from gateway.administration.views import InstanceView

COLUMNS = ("id", "service", "url", "weight", "zone", "state", "expires_at", "health")


@click.group()
def registry() -> None:
    """List, register and remove instances of services.

    What is registered serves a service that has `discovery: { registry: { service: NAME } }`.

    \b
    Examples:
      gateway registry register identity http://10.0.0.5:9101 --weight 3 --zone eu-1a
      gateway registry list --service identity
      gateway registry deregister 17
    """


@registry.command()
@click.argument("service")
@click.argument("url")
@click.option("--weight", type=click.IntRange(0, 65_535), default=1, show_default=True,
              help="Share of the requests relative to the others; 0 gets none.")  # fmt: skip
@click.option("--zone", help="Where it runs.")
@click.option("--ttl", type=LIFETIME, help="It leaves without a heartbeat for so long.")
@config_options
def register(
    service: str,
    url: str,
    weight: int,
    zone: str | None,
    ttl: timedelta | None,
    config_file: Path | None,
    settings: dict[str, str],
) -> None:
    """Add an instance, or renew what is known of it; print its id.

    \b
    Exit codes: 0 registered, 1 not possible, 2 usage.
    """
    from gateway.administration.instances import register_instance
    from gateway.administration.registration import checked

    ttl_s = None if ttl is None else round(ttl.total_seconds())
    try:
        registration = checked(service, url, weight, zone, ttl_s=ttl_s)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    view = at_desk(
        config_file, settings, lambda desk: register_instance(desk, registration), makes_store=True
    )
    click.echo(view.id)


@registry.command("list")
@click.option("--service", help="Only those that register under this name.")
@json_option
@config_options
def list_instances(
    service: str | None, as_json: bool, config_file: Path | None, settings: dict[str, str]
) -> None:
    """List all instances. State `expired`: no heartbeat came in time, so it gets no requests.

    \b
    Exit codes: 0 ok, 1 the store cannot be read, 2 usage.
    """
    rows = at_desk(config_file, settings, lambda desk: _all(desk, service))
    print_rows(rows, COLUMNS, as_json)


@registry.command()
@click.argument("instance", metavar="ID")
@config_options
def deregister(instance: str, config_file: Path | None, settings: dict[str, str]) -> None:
    """Remove an instance. It gets no further requests.

    \b
    Exit codes: 0 removed, 1 not possible (there is no such instance), 2 usage.
    """
    from gateway.administration.instances import deregister_instance

    view = at_desk(config_file, settings, lambda desk: deregister_instance(desk, instance))
    click.echo(f"{view.service} {view.url}: removed")


async def _all(desk: "Desk", service: str | None) -> "list[InstanceView]":
    from gateway.administration.instances import view_of

    found: list[InstanceView] = []
    while page := await desk.store.instances.list(service, found[-1].id if found else 0):
        found += (view_of(row, desk.now) for row in page)
    return found
