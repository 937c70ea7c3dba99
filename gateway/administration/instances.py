"""Acts on registered instances."""

from datetime import datetime
from typing import Any

from gateway.administration.desk import Desk
from gateway.administration.views import InstanceView
from gateway.store.errors import NotFound
from gateway.store.instances import Instance, Registration

__all__ = [
    "change_instance",
    "deregister_instance",
    "heartbeat",
    "instance_of",
    "register_instance",
    "view_of",
]


def view_of(row: Instance, now: datetime) -> InstanceView:
    """What is shown of an instance at this moment."""
    return InstanceView.model_validate(vars(row) | {"state": row.state(now)})


async def instance_of(desk: Desk, text: str) -> Instance:
    """The instance with this id. NotFound; to a registrar those of other services are not there."""
    is_number = text.isascii() and text.isdigit() and len(text) < 10
    found = await desk.store.instances.by_id(int(text)) if is_number else None
    if found is None or desk.service not in (None, found.service):
        raise NotFound(f"there is no instance {text}")
    return found


async def register_instance(desk: Desk, registration: Registration) -> InstanceView:
    """Add an instance, or renew what it says of itself. Conflict.

    One that says nothing new has only sent a heartbeat, which is not in the audit log.
    """
    if (alive := await desk.store.instances.renew(registration, desk.now)) is not None:
        return view_of(alive, desk.now)
    async with desk.store.transaction():
        row, is_new = await desk.store.instances.register(registration, desk.now)
        view = view_of(row, desk.now)
        action = "instance.register" if is_new else "instance.renew"
        await desk.record(action, _subject(row), after=view)
    return view


async def heartbeat(desk: Desk, text: str) -> InstanceView:
    """It lives. Not in the audit log: nothing changes by it. NotFound, Conflict."""
    row = await instance_of(desk, text)
    return view_of(await desk.store.instances.heartbeat(row.id, desk.now), desk.now)


async def change_instance(
    desk: Desk, text: str, expected: int | None = None, **values: Any
) -> InstanceView:
    """Change ``weight``, ``zone``, ``metadata``, ``active``. NotFound, Superseded."""
    async with desk.store.transaction():
        before = await instance_of(desk, text)
        row = await desk.store.instances.change(before.id, desk.now, expected, **values)
        view, was = view_of(row, desk.now), view_of(before, desk.now)
        await desk.record("instance.change", _subject(row), was, view)
    return view


async def deregister_instance(desk: Desk, text: str, expected: int | None = None) -> InstanceView:
    """Remove an instance; returns what it was. NotFound, Superseded."""
    async with desk.store.transaction():
        row = await instance_of(desk, text)
        await desk.store.instances.remove(row.id, expected)
        view = view_of(row, desk.now)
        await desk.record("instance.deregister", _subject(row), view)
    return view


def _subject(row: Instance) -> str:
    return f"{row.service} {row.url}"[:255]
