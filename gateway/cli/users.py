"""``gateway users``: who may log in."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.desk import SCOPES, at_desk, every, json_option, print_rows
from gateway.cli.exits import Exit
from gateway.cli.options import EMAIL, config_options, load_or_exit

if TYPE_CHECKING:
    from gateway.administration.desk import Desk
    from gateway.administration.views import UserView

COLUMNS = ("email", "scopes", "disabled", "mfa", "created_at")


@click.group()
def users() -> None:
    """Add, list and disable users, and say what they may do.

    \b
    Examples:
      gateway users create ann@example.org --scopes read,write
      pass show ann | gateway users create ann@example.org --scopes read --password-stdin
      gateway users scopes ann@example.org read,content:*
      gateway users disable ann@example.org
    """


@users.command()
@click.argument("email", type=EMAIL)
@click.option("--scopes", type=SCOPES, default="", metavar="A,B", help="What the user may do.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@json_option
@config_options
def create(
    email: str,
    scopes: tuple[str, ...],
    password_stdin: bool,
    as_json: bool,
    config_file: Path | None,
    settings: dict[str, str],
) -> None:
    """Add a user. The password is asked for, twice, unless it comes on standard input.

    \b
    Exit codes: 0 added, 1 not possible (the address is taken, the password too weak), 2 usage.
    """
    rules = load_or_exit(config_file, settings).config.auth.passwords
    password = _password(password_stdin)
    from gateway.administration.passwords import NewPasswords
    from gateway.administration.users import create_user

    passwords = NewPasswords(lambda: rules)
    if missing := passwords.missing(password):
        for phrase in missing:
            click.echo(f"the password {phrase}", err=True)
        sys.exit(Exit.FAILED)
    hashed = asyncio.run(passwords.hash(password))
    passwords.close()
    user = at_desk(
        config_file,
        settings,
        lambda desk: create_user(desk, email, hashed, scopes),
        makes_store=True,
    )
    print_rows([user], COLUMNS, as_json)


@users.command("list")
@json_option
@config_options
def list_users(as_json: bool, config_file: Path | None, settings: dict[str, str]) -> None:
    """List all users.

    \b
    Exit codes: 0 ok, 1 the store cannot be read, 2 usage.
    """
    print_rows(at_desk(config_file, settings, _all), COLUMNS, as_json)


@users.command()
@click.argument("email")
@config_options
def disable(email: str, config_file: Path | None, settings: dict[str, str]) -> None:
    """Let a user in no more: logged out everywhere, keys refused.

    \b
    Exit codes: 0 disabled, 1 not possible (there is no such user), 2 usage.
    """
    _set_disabled(email, True, config_file, settings)


@users.command()
@click.argument("email")
@config_options
def enable(email: str, config_file: Path | None, settings: dict[str, str]) -> None:
    """Let a disabled user in again. Sessions from before stay ended.

    \b
    Exit codes: 0 enabled, 1 not possible (there is no such user), 2 usage.
    """
    _set_disabled(email, False, config_file, settings)


@users.command()
@click.argument("email")
@click.argument("scopes", type=SCOPES, metavar="A,B")
@config_options
def scopes(
    email: str, scopes: tuple[str, ...], config_file: Path | None, settings: dict[str, str]
) -> None:
    """Replace what a user may do; "" takes everything away.

    Keys follow within two seconds, access tokens when they are refreshed.

    \b
    Exit codes: 0 replaced, 1 not possible (there is no such user), 2 usage.
    """
    from gateway.administration.users import change_user

    user = at_desk(config_file, settings, lambda desk: change_user(desk, email, scopes=scopes))
    click.echo(f"{user.email}: {','.join(user.scopes) or '-'}")


def _set_disabled(
    email: str, disabled: bool, config_file: Path | None, settings: dict[str, str]
) -> None:
    from gateway.administration.users import change_user

    user = at_desk(config_file, settings, lambda desk: change_user(desk, email, disabled=disabled))
    click.echo(f"{user.email}: {'disabled' if user.disabled else 'enabled'}")


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return password


async def _all(desk: "Desk") -> "list[UserView]":
    from gateway.administration.users import user_view

    users = desk.store.users
    found = await every(lambda after: users.list(after=after), lambda user: user.email)
    return [user_view(user) for user in found]
