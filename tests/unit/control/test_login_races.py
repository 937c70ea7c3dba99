"""What an administrator changes while a password is being looked at."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.identity.login import Attempt
from tests.unit.control.house import House, code

Change = Callable[[House, str], Awaitable[Any]]


def now() -> datetime:
    return datetime.now(UTC)


async def disable(house: House, user: str) -> None:
    await house.store.users.change(user, now(), disabled=True)


async def change_password(house: House, user: str) -> None:
    await house.store.users.change(user, now(), password_hash="another")


async def switch_mfa_on(house: House, user: str) -> None:
    await house.store.users.set_mfa(user, "JBSWY3DPEHPK3PXP", [], now())


async def delete(house: House, user: str) -> None:
    await house.store.users.delete(user)


def meanwhile(house: House, change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    """The change comes when the password has been found right, and the session is not begun."""
    check = house.service.login.check

    async def slow_check(attempt: Attempt) -> Any:
        user = await check(attempt)
        await change(house, getattr(user, "id", ""))
        return user

    monkeypatch.setattr(house.service.login, "check", slow_check)


@pytest.mark.parametrize("change", [disable, change_password, switch_mfa_on, delete])
async def test_who_may_not_log_in_any_more_gets_no_session(
    house: House, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(house, change, monkeypatch)
    assert code(await house.login()) == (401, "invalid_credentials")
    assert list(await house.store.sessions.list()) == []


async def test_scopes_are_those_of_the_end(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def take_away(house: House, user: str) -> None:
        await house.store.users.change(user, now(), scopes=["read"])

    meanwhile(house, take_away, monkeypatch)
    assert (await house.login()).status_code == 200
    (session,) = await house.store.sessions.list()
    assert session.scopes == ("read",)


async def test_a_rehash_brings_no_old_password_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one is hashed anew while a new one is set."""
    user = await house.store.users.by_email("ann@example.org")
    assert user is not None
    changed = await house.store.users.change(user.id, now(), password_hash="new")
    assert (await house.store.users.rehash(user, "the old one, dearer")) == user
    assert (await house.store.users.by_id(user.id)) == changed
