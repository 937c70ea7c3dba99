"""``gateway keys``: API keys."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.desk import (
    LIFETIME,
    SCOPES,
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
    from gateway.administration.views import KeyView

COLUMNS = ("id", "owner_email", "client_name", "name", "scopes", "version", "expires_at",
           "revoked_at", "last_used_at")  # fmt: skip


@click.group()
def keys() -> None:
    """Create, rotate, revoke and list API keys.

    \b
    Examples:
      gateway keys create --owner ann@example.org --scopes read --expires 90d
      gateway keys rotate abcdef123456 --overlap 7d
      gateway keys revoke abcdef123456
    """


@keys.command()
@click.option("--owner", required=True, metavar="EMAIL", help="Whose key it is.")
@click.option("--client", metavar="NAME", help="The client that it is for, by name or id.")
@click.option("--scopes", type=SCOPES, default="", metavar="A,B",
              help="Count as far as owner and client have them.")  # fmt: skip
@click.option("--name", default="", help="What it is for.")
@click.option("--expires", type=LIFETIME, help="After this time it ends; by default never.")
@click.option("--rate-limit-policy", metavar="NAME", help="Tiers of limits ask for it.")
@json_option
@config_options
def create(
    owner: str,
    client: str | None,
    scopes: tuple[str, ...],
    name: str,
    expires: timedelta | None,
    rate_limit_policy: str | None,
    as_json: bool,
    config_file: Path | None,
    settings: dict[str, str],
) -> None:
    """Add a key and print it, once.

    \b
    Exit codes: 0 added, 1 not possible (there is no such user or client), 2 usage.
    """
    from gateway.administration.keys import create_key

    view, text = at_desk(
        config_file,
        settings,
        lambda desk: create_key(
            desk,
            owner,
            name=name,
            scopes=scopes,
            expires=parse_lifetime(expires),
            rate_limit_policy=rate_limit_policy,
            client=client,
        ),
    )
    print_once(view, "key", text, as_json)


@keys.command()
@click.argument("key_id", metavar="ID")
@click.option("--overlap", type=LIFETIME, default="1d", show_default=True,
              help="How long the text before it counts as well.")  # fmt: skip
@json_option
@config_options
def rotate(
    key_id: str,
    overlap: timedelta,
    as_json: bool,
    config_file: Path | None,
    settings: dict[str, str],
) -> None:
    """Give a key a newer text and print it, once.

    \b
    Exit codes: 0 rotated, 1 not possible (there is no such key, or it is revoked), 2 usage.
    """
    from gateway.administration.keys import rotate_key

    view, text = at_desk(config_file, settings, lambda desk: rotate_key(desk, key_id, overlap))
    print_once(view, "key", text, as_json)


@keys.command()
@click.argument("key_id", metavar="ID")
@config_options
def revoke(key_id: str, config_file: Path | None, settings: dict[str, str]) -> None:
    """End a key at once.

    \b
    Exit codes: 0 revoked, 1 not possible (there is none that is not revoked), 2 usage.
    """
    from gateway.administration.keys import revoke_key

    at_desk(config_file, settings, lambda desk: revoke_key(desk, key_id))
    click.echo(f"{key_id}: revoked")


@keys.command("list")
@json_option
@config_options
def list_keys(as_json: bool, config_file: Path | None, settings: dict[str, str]) -> None:
    """List all keys.

    \b
    Exit codes: 0 ok, 1 the store cannot be read, 2 usage.
    """
    print_rows(at_desk(config_file, settings, _all), COLUMNS, as_json)


async def _all(desk: "Desk") -> "list[KeyView]":
    from gateway.administration.views import KeyView

    keys = desk.store.api_keys
    found = await every(lambda after: keys.list(after=after), lambda key: key.id)
    return [KeyView.model_validate(key) for key in found]
