"""Acts on API clients."""

import hashlib
import secrets
from collections.abc import Iterable
from typing import Any

from gateway.administration.desk import Desk
from gateway.administration.views import ClientView
from gateway.store.clients import Client
from gateway.store.errors import NotFound

__all__ = [
    "change_client",
    "client_of",
    "create_client",
    "delete_client",
    "renew_client_secret",
    "secret_hash",
]

SECRET_BYTES = 32
"""256 bits: nobody guesses it, so that a plain hash protects it."""


def secret_hash(secret: str) -> str:
    """What is stored of a client's secret."""
    return f"sha256:{hashlib.sha256(secret.encode()).hexdigest()}"


async def client_of(desk: Desk, name: str) -> Client:
    """The client with this id or name. NotFound."""
    found = await desk.store.clients.by_id(name) or await desk.store.clients.by_name(name)
    if found is None:
        raise NotFound(f"there is no client {name}")
    return found


async def create_client(
    desk: Desk, name: str, scopes: Iterable[str] = (), rate_limit_policy: str | None = None
) -> tuple[ClientView, str]:
    """Add a client; returns it and its secret, now and never again. Conflict, NotFound."""
    secret = _new_secret()
    async with desk.adding(f"a client {name}"):
        client = await desk.store.clients.create(
            name,
            secret_hash(secret),
            now=desk.now,
            scopes=scopes,
            rate_limit_policy=rate_limit_policy,
        )
        view = ClientView.model_validate(client)
        await desk.record("client.create", client.name, after=view)
    return view, secret


async def change_client(
    desk: Desk, name: str, expected: int | None = None, action: str = "client.change", **values: Any
) -> ClientView:
    """Change ``name``, ``scopes``, ``active``, ``rate_limit_policy``. NotFound, Superseded."""
    async with desk.store.transaction():
        before = await client_of(desk, name)
        client = await desk.store.clients.change(before.id, desk.now, expected, **values)
        view = ClientView.model_validate(client)
        await desk.record(action, client.name, ClientView.model_validate(before), view)
    return view


async def renew_client_secret(
    desk: Desk, name: str, expected: int | None = None
) -> tuple[ClientView, str]:
    """Replace the secret; the one before it is worth nothing at once."""
    secret = _new_secret()
    view = await change_client(
        desk, name, expected, "client.renew_secret", secret_hash=secret_hash(secret)
    )
    return view, secret


async def delete_client(desk: Desk, name: str, expected: int | None = None) -> None:
    """Remove a client. NotFound, Superseded."""
    async with desk.store.transaction():
        client = await client_of(desk, name)
        await desk.store.clients.delete(client.id, expected)
        await desk.record("client.delete", client.name, ClientView.model_validate(client))


def _new_secret() -> str:
    return f"gwc_{secrets.token_urlsafe(SECRET_BYTES)}"
