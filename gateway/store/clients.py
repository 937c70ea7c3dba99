"""API clients: applications that call, with a secret of their own."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.store.database import Area, Database
from gateway.store.errors import NotFound, Superseded
from gateway.store.tables import api_clients, rate_limit_policies

__all__ = ["Client", "Clients"]

_AREA: Area = "credentials"


@dataclass(frozen=True)
class Client:
    """A row of ``api_clients``."""

    id: str
    name: str
    secret_hash: str
    scopes: tuple[str, ...]
    rate_limit_policy: str | None
    active: bool
    version: int
    created_at: datetime
    updated_at: datetime


_SELECT = sa.select(
    api_clients.c.id,
    api_clients.c.client_name.label("name"),
    api_clients.c.client_secret_hash.label("secret_hash"),
    api_clients.c.scopes,
    rate_limit_policies.c.policy_name.label("rate_limit_policy"),
    api_clients.c.is_active.label("active"),
    api_clients.c.version,
    api_clients.c.created_at,
    api_clients.c.updated_at,
).select_from(api_clients.outerjoin(rate_limit_policies))

_COLUMNS = {"name": "client_name", "secret_hash": "client_secret_hash", "active": "is_active"}
"""Our names of columns that are called otherwise in the table."""


class Clients:
    """The table ``api_clients``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        name: str,
        secret_hash: str,
        *,
        now: datetime,
        scopes: Iterable[str] = (),
        rate_limit_policy: str | None = None,
    ) -> Client:
        """Add a client. Conflict if the name is taken, NotFound if the policy is not stored."""
        client_id = str(uuid.uuid4())
        async with self._database.write(_AREA) as connection:
            row = {
                "id": client_id,
                "client_name": name,
                "client_secret_hash": secret_hash,
                "scopes": tuple(scopes),
                "rate_limit_policy_id": await _policy_id(connection, rate_limit_policy),
                "created_at": now,
                "updated_at": now,
            }
            await connection.execute(sa.insert(api_clients).values(row))
            return await self._loaded(connection, client_id)

    async def by_id(self, client_id: str) -> Client | None:
        """The client, also if it is not active."""
        if not _is_uuid(client_id):
            return None
        async with self._database.read() as connection:
            found = await connection.execute(_SELECT.where(api_clients.c.id == client_id))
            row = found.mappings().one_or_none()
            return None if row is None else Client(**row)

    async def by_name(self, name: str) -> Client | None:
        """The client of this name."""
        async with self._database.read() as connection:
            found = await connection.execute(_SELECT.where(api_clients.c.client_name == name))
            row = found.mappings().one_or_none()
            return None if row is None else Client(**row)

    async def list(self, after: str = "", limit: int = 100) -> Sequence[Client]:
        """Clients in the order of their names, from behind `after`."""
        name = api_clients.c.client_name
        statement = _SELECT.where(name > after).order_by(name).limit(limit)
        async with self._database.read() as connection:
            found = await connection.execute(statement)
            return [Client(**row) for row in found.mappings()]

    async def change(
        self, client_id: str, now: datetime, expected: int | None = None, **values: Any
    ) -> Client:
        """Change fields of `Client`. With `expected`: Superseded if that is not the version."""
        if not _is_uuid(client_id):
            raise NotFound(f"there is no client {client_id}")
        async with self._database.write(_AREA) as connection:
            columns = {_COLUMNS.get(name, name): value for name, value in values.items()}
            if "rate_limit_policy" in columns:
                policy = columns.pop("rate_limit_policy")
                columns["rate_limit_policy_id"] = await _policy_id(connection, policy)
            statement = sa.update(api_clients).where(api_clients.c.id == client_id)
            if expected is not None:
                statement = statement.where(api_clients.c.version == expected)
            version = api_clients.c.version + 1
            changed = await connection.execute(
                statement.values(**columns, version=version, updated_at=now)
            )
            client = await self._loaded(connection, client_id)
            if changed.rowcount != 1:
                raise Superseded(client.version)
            return client

    async def delete(self, client_id: str, expected: int | None = None) -> None:
        """Remove the client. NotFound, Superseded."""
        if not _is_uuid(client_id):
            raise NotFound(f"there is no client {client_id}")
        async with self._database.write(_AREA) as connection:
            client = await self._loaded(connection, client_id)
            if expected not in (None, client.version):
                raise Superseded(client.version)
            await connection.execute(sa.delete(api_clients).where(api_clients.c.id == client_id))

    async def _loaded(self, connection: AsyncConnection, client_id: str) -> Client:
        found = await connection.execute(_SELECT.where(api_clients.c.id == client_id))
        row = found.mappings().one_or_none()
        if row is None:
            raise NotFound(f"there is no client {client_id}")
        return Client(**row)


async def _policy_id(connection: AsyncConnection, name: str | None) -> int | None:
    if name is None:
        return None
    found = await connection.execute(
        sa.select(rate_limit_policies.c.id).where(rate_limit_policies.c.policy_name == name)
    )
    policy_id = found.scalar_one_or_none()
    if policy_id is None:
        raise NotFound(
            f"there is no stored rate limit policy {name!r}: a client is bound to a policy of the "
            "store, which the admin API adds (POST /api/v1/policies); an API key to any name"
        )
    return int(policy_id)


def _is_uuid(text: str) -> bool:
    """PostgreSQL refuses to compare its UUIDs with anything else."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
