"""Rows that a hand has broken cost nothing but themselves."""

import pytest

from gateway.store.definitions import Definitions
from gateway.store.store import Store
from tests.conformance.store.conftest import NOW
from tests.conformance.store.test_definitions import SECTIONS

DEEP = "[" * 3000 + "]" * 3000
TABLES: dict[str, tuple[str, str]] = {
    "routes": ("gateway_routes", "name"),
    "services": ("services", "name"),
    "policies": ("rate_limit_policies", "policy_name"),
}


@pytest.fixture(params=list(TABLES))
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def definitions(store: Store, kind: str) -> Definitions:
    found: Definitions = getattr(store, kind)
    for name in ("bad", "good"):
        await found.add(name, SECTIONS[kind], NOW)
    return found


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        (DEEP, ""),
        ("[" * 300 + "]" * 300, "cannot be written as JSON"),
        ('{"a": 123456789012345678901}', "cannot be written as JSON"),
    ],
)
async def test_a_definition_that_is_none_is_told_of(
    definitions: Definitions, store: Store, kind: str, definition: str, problem: str
) -> None:
    table, key = TABLES[kind]
    async with store.database.write() as connection:
        statement = f"UPDATE {table} SET definition = '{definition}' WHERE {key} = 'bad'"
        await connection.exec_driver_sql(statement)
    bad, good = await definitions.list()
    assert (good.name, good.section, good.problem) == ("good", SECTIONS[kind], None)
    assert (bad.name, bad.section) == ("bad", None)
    assert bad.problem
    assert problem in bad.problem
    assert await definitions.get("bad") == bad
    mended = await definitions.replace("bad", SECTIONS[kind], NOW)
    assert (mended.section, mended.problem) == (SECTIONS[kind], None)
