"""`Store`: one object for everything durable."""

import contextlib
from collections.abc import AsyncIterator

from gateway.store.admin_tokens import AdminTokens
from gateway.store.api_keys import ApiKeys
from gateway.store.audit import Audit
from gateway.store.changes import Changes
from gateway.store.clients import Clients
from gateway.store.database import Database
from gateway.store.instances import Instances
from gateway.store.migrate import upgrade
from gateway.store.policies import Policies
from gateway.store.refresh_tokens import RefreshTokens
from gateway.store.routes import Routes
from gateway.store.services import Services
from gateway.store.sessions import Sessions
from gateway.store.signing_keys import SigningKeys
from gateway.store.users import Users

__all__ = ["Store"]


class Store:
    """The repositories of one database. Making it does not connect; `open` does."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.changes = Changes(self.database)
        self.users = Users(self.database)
        self.sessions = Sessions(self.database)
        self.refresh_tokens = RefreshTokens(self.database)
        self.api_keys = ApiKeys(self.database)
        self.signing_keys = SigningKeys(self.database)
        self.clients = Clients(self.database)
        self.routes = Routes(self.database)
        self.services = Services(self.database)
        self.instances = Instances(self.database)
        self.policies = Policies(self.database)
        self.admin_tokens = AdminTokens(self.database)
        self.audit = Audit(self.database)

    async def upgrade(self) -> None:
        """Make the tables, or bring them up to date. StoreUnavailable, SchemaUnknown."""
        await upgrade(self.database)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """All changes that this task makes inside happen, or none."""
        async with self.database.write():
            yield

    async def close(self) -> None:
        """Close all connections."""
        await self.database.close()

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator["Store"]:
        """The store, migrated; closed at the end."""
        store = cls(url)
        try:
            await store.upgrade()
            yield store
        finally:
            await store.close()
