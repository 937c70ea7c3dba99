"""Acts on stored routes, services and policies. Their callers have made sure that they serve."""

from collections.abc import Mapping
from typing import Any

from gateway.administration.desk import Desk
from gateway.administration.views import StoredView
from gateway.config.stored import Kind, public_section
from gateway.store.definitions import Definition, Definitions
from gateway.store.errors import NotFound
from gateway.store.store import Store

__all__ = ["add_definition", "definitions_of", "delete_definition", "replace_definition"]


def definitions_of(store: Store, kind: Kind) -> Definitions:
    """The repository of a kind."""
    tables: dict[Kind, Definitions] = {
        "service": store.services,
        "policy": store.policies,
        "route": store.routes,
    }
    return tables[kind]


async def add_definition(
    desk: Desk, kind: Kind, name: str, section: Mapping[str, Any]
) -> Definition:
    """Add one. Conflict."""
    async with desk.store.transaction():
        row = await definitions_of(desk.store, kind).add(name, section, desk.now)
        await desk.record(f"{kind}.create", name, after=_view(kind, row))
    return row


async def replace_definition(
    desk: Desk, kind: Kind, name: str, section: Mapping[str, Any], expected: int | None
) -> Definition:
    """Put another section in its place. NotFound, Superseded."""
    async with desk.store.transaction():
        before = await _existing(desk, kind, name)
        row = await definitions_of(desk.store, kind).replace(name, section, desk.now, expected)
        await desk.record(f"{kind}.replace", name, before, _view(kind, row))
    return row


async def delete_definition(desk: Desk, kind: Kind, name: str, expected: int | None) -> None:
    """Remove one. NotFound, Superseded."""
    async with desk.store.transaction():
        before = await _existing(desk, kind, name)
        await definitions_of(desk.store, kind).delete(name, expected)
        await desk.record(f"{kind}.delete", name, before)


async def _existing(desk: Desk, kind: Kind, name: str) -> StoredView:
    row = await definitions_of(desk.store, kind).get(name)
    if row is None:
        raise NotFound(f"there is no {kind} {name} in the store")
    return _view(kind, row)


def _view(kind: Kind, row: Definition) -> StoredView:
    return StoredView(name=row.name, version=row.version, section=public_section(kind, row.section))
