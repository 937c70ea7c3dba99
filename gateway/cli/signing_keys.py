"""``gateway signing-keys``: what our own tokens are signed with."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.desk import at_desk, json_option, print_rows
from gateway.cli.options import config_options, load_or_exit

if TYPE_CHECKING:
    from gateway.administration.desk import Desk
    from gateway.administration.views import SigningKeyView

COLUMNS = ("kid", "algorithm", "not_before", "retire_at")


@click.group("signing-keys")
def signing_keys() -> None:
    """Rotate, retire and list the keys that sign our own tokens.

    \b
    Examples:
      gateway signing-keys rotate
      gateway signing-keys list
      gateway signing-keys retire 4zjZ…
    """


@signing_keys.command()
@config_options
def rotate(config_file: Path | None, settings: dict[str, str]) -> None:
    """Add a key and let the others run out. Nobody is logged out by it.

    Algorithm and times are those of auth.signing in the configuration.

    \b
    Exit codes: 0 rotated, 1 not possible, 2 usage.
    """
    auth = load_or_exit(config_file, settings).config.auth
    from gateway.administration.signing_keys import rotate_signing_key

    view = at_desk(
        config_file, settings, lambda desk: rotate_signing_key(desk, auth), makes_store=True
    )
    print_rows([view], COLUMNS, as_json=False)


@signing_keys.command()
@click.argument("kid")
@config_options
def retire(kid: str, config_file: Path | None, settings: dict[str, str]) -> None:
    """Let a key that has leaked count no more, at once.

    Who has a token of it logs in again. Rotate first: the newest key signs as soon as no other is
    left.

    \b
    Exit codes: 0 retired, 1 not possible (there is none that counts), 2 usage.
    """
    from gateway.administration.signing_keys import retire_signing_key

    at_desk(config_file, settings, lambda desk: retire_signing_key(desk, kid))
    click.echo(f"{kid}: retired")


@signing_keys.command("list")
@json_option
@config_options
def list_signing_keys(as_json: bool, config_file: Path | None, settings: dict[str, str]) -> None:
    """List the keys that count, the newest first.

    \b
    Exit codes: 0 ok, 1 the store cannot be read, 2 usage.
    """
    print_rows(at_desk(config_file, settings, _all), COLUMNS, as_json)


async def _all(desk: "Desk") -> "list[SigningKeyView]":
    from gateway.administration.views import SigningKeyView

    found = await desk.store.signing_keys.all_valid(desk.now)
    return [SigningKeyView.model_validate(key) for key in found]
