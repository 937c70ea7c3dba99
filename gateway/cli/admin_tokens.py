"""``gateway admin-tokens``: who may use the admin API."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.desk import (
    LIFETIME,
    at_desk,
    every,
    json_option,
    parse_lifetime,
    print_once,
    print_rows,
)
from gateway.cli.options import config_options

if TYPE_CHECKING:
    from gateway.administration.desk import Desk
    from gateway.administration.views import AdminTokenView, Role

COLUMNS = ("id", "name", "role", "service", "created_at", "expires_at", "revoked_at")


@click.group("admin-tokens")
def admin_tokens() -> None:
    """Create, list and revoke tokens of the admin API.

    A gateway makes the first one at its first start and prints it once. Whoever can read the store
    can make another, for instance when that one is lost.

    \b
    Examples:
      gateway admin-tokens create deploy --role operator --expires 30d
      gateway admin-tokens create identity --role registrar --service identity
      gateway admin-tokens revoke 1a2b3c4d5e6f
    """


@admin_tokens.command()
@click.argument("name")
@click.option("--role", type=click.Choice(["registrar", "viewer", "operator", "admin"]),
              default="admin", show_default=True,
              help="registrar: register instances of one service and nothing else. Of the others "
                   "each may do what those before it may.")  # fmt: skip
@click.option("--service", help="Whose instances a registrar registers.")
@click.option("--expires", type=LIFETIME, help="After this time it ends; by default never.")
@json_option
@config_options
def create(
    name: str,
    role: "Role",
    service: str | None,
    expires: timedelta | None,
    as_json: bool,
    config_file: Path | None,
    settings: dict[str, str],
) -> None:
    """Add a token and print it, once. NAME says whose it is, for the audit log.

    \b
    Exit codes: 0 added, 1 not possible, 2 usage.
    """
    from gateway.administration.admin_tokens import create_admin_token

    view, text = at_desk(
        config_file,
        settings,
        lambda desk: create_admin_token(desk, name, role, parse_lifetime(expires), service),
        makes_store=True,
    )
    print_once(view, "token", text, as_json)


@admin_tokens.command()
@click.argument("token_id", metavar="ID")
@config_options
def revoke(token_id: str, config_file: Path | None, settings: dict[str, str]) -> None:
    """End a token at once.

    \b
    Exit codes: 0 revoked, 1 not possible (there is none that is not revoked), 2 usage.
    """
    from gateway.administration.admin_tokens import revoke_admin_token

    at_desk(config_file, settings, lambda desk: revoke_admin_token(desk, token_id))
    click.echo(f"{token_id}: revoked")


@admin_tokens.command("list")
@json_option
@config_options
def list_admin_tokens(as_json: bool, config_file: Path | None, settings: dict[str, str]) -> None:
    """List all tokens.

    \b
    Exit codes: 0 ok, 1 the store cannot be read, 2 usage.
    """
    print_rows(at_desk(config_file, settings, _all), COLUMNS, as_json)


async def _all(desk: "Desk") -> "list[AdminTokenView]":
    from gateway.administration.views import AdminTokenView

    tokens = desk.store.admin_tokens
    found = await every(lambda after: tokens.list(after=after), lambda token: token.id)
    return [AdminTokenView.model_validate(token) for token in found]
