"""``gateway clients``: applications that call with a secret of their own."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.desk import SCOPES, at_desk, every, json_option, print_once, print_rows
from gateway.cli.options import config_options

if TYPE_CHECKING:
    from gateway.administration.desk import Desk
    from gateway.administration.views import ClientView

COLUMNS = ("id", "name", "scopes", "rate_limit_policy", "active", "created_at")


@click.group()
def clients() -> None:
    """Create, list, change and disable API clients.

    \b
    Examples:
      gateway clients create shop --scopes read,write
      gateway clients disable shop
    """


@clients.command()
@click.argument("name")
@click.option("--scopes", type=SCOPES, default="", metavar="A,B", help="What the client may do.")
@click.option("--rate-limit-policy", metavar="NAME", help="Of a policy in the store.")
@json_option
@config_options
def create(
    name: str,
    scopes: tuple[str, ...],
    rate_limit_policy: str | None,
    as_json: bool,
    config_file: Path | None,
    settings: dict[str, str],
) -> None:
    """Add a client; print its secret, once, and its id.

    \b
    Exit codes: 0 added, 1 not possible (the name is taken), 2 usage.
    """
    from gateway.administration.clients import create_client

    view, secret = at_desk(
        config_file,
        settings,
        lambda desk: create_client(desk, name, scopes, rate_limit_policy),
        makes_store=True,
    )
    if not as_json:
        click.echo(f"{view.name}: {view.id}", err=True)
    print_once(view, "secret", secret, as_json)


@clients.command("list")
@json_option
@config_options
def list_clients(as_json: bool, config_file: Path | None, settings: dict[str, str]) -> None:
    """List all clients.

    \b
    Exit codes: 0 ok, 1 the store cannot be read, 2 usage.
    """
    print_rows(at_desk(config_file, settings, _all), COLUMNS, as_json)


@clients.command()
@click.argument("name")
@config_options
def disable(name: str, config_file: Path | None, settings: dict[str, str]) -> None:
    """Let a client (name or id) call no more: its keys are refused.

    \b
    Exit codes: 0 disabled, 1 not possible (there is no such client), 2 usage.
    """
    view = _change(name, config_file, settings, active=False)
    click.echo(f"{view.name}: disabled")


@clients.command()
@click.argument("name")
@config_options
def enable(name: str, config_file: Path | None, settings: dict[str, str]) -> None:
    """Let a disabled client (name or id) call again.

    \b
    Exit codes: 0 enabled, 1 not possible (there is no such client), 2 usage.
    """
    view = _change(name, config_file, settings, active=True)
    click.echo(f"{view.name}: enabled")


@clients.command()
@click.argument("name")
@click.argument("scopes", type=SCOPES, metavar="A,B")
@config_options
def scopes(
    name: str, scopes: tuple[str, ...], config_file: Path | None, settings: dict[str, str]
) -> None:
    """Replace what a client and its keys may do.

    The client goes by name or id; "" takes everything away.

    \b
    Exit codes: 0 replaced, 1 not possible (there is no such client), 2 usage.
    """
    view = _change(name, config_file, settings, scopes=scopes)
    click.echo(f"{view.name}: {','.join(view.scopes) or '-'}")


def _change(
    name: str, config_file: Path | None, settings: dict[str, str], **values: Any
) -> "ClientView":
    from gateway.administration.clients import change_client

    return at_desk(config_file, settings, lambda desk: change_client(desk, name, **values))


async def _all(desk: "Desk") -> "list[ClientView]":
    from gateway.administration.views import ClientView

    clients = desk.store.clients
    found = await every(lambda after: clients.list(after=after), lambda client: client.name)
    return [ClientView.model_validate(client) for client in found]
