"""A house with a user in it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.identity.passwords import Cost, Passwords
from gateway.store.store import Store
from tests.unit.control.house import PASSWORD, House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with Store.open(f"sqlite:///{tmp_path}/g.db") as store:
        passwords = Passwords(Cost(4096, 2))
        hashed = await passwords.hash(PASSWORD)
        passwords.close()
        now = datetime.now(UTC)
        await store.users.create("ann@example.org", hashed, ["read", "write"], now)
        made = House(store)
        await made.keys.load(made.service.rotation)
        yield made
        await made.client.aclose()
        made.service.close()
