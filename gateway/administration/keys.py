"""Acts on API keys."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from gateway.administration.clients import client_of
from gateway.administration.desk import Desk
from gateway.administration.users import user_of
from gateway.administration.views import KeyView
from gateway.identity.keys import new_key
from gateway.store.errors import NotFound

__all__ = ["create_key", "revoke_key", "rotate_key"]


async def create_key(
    desk: Desk,
    owner: str,
    *,
    name: str = "",
    scopes: Iterable[str] = (),
    expires: datetime | None = None,
    rate_limit_policy: str | None = None,
    client: str | None = None,
) -> tuple[KeyView, str]:
    """Add a key for a user (id or address), perhaps for one client (id or name) of theirs.

    Returns it and its text, now and never again. NotFound.
    """
    new = new_key()
    async with desk.store.transaction():
        user = await user_of(desk, owner)
        key = await desk.store.api_keys.create(
            new.id,
            new.digest,
            user.id,
            now=desk.now,
            name=name,
            scopes=scopes,
            expires=expires,
            rate_limit_policy=rate_limit_policy,
            client_id=None if client is None else (await client_of(desk, client)).id,
        )
        view = KeyView.model_validate(key)
        await desk.record("key.create", key.id, after=view)
    return view, new.text


async def rotate_key(desk: Desk, key_id: str, overlap: timedelta) -> tuple[KeyView, str]:
    """Add a newer text to a key; those before it count until the overlap is over. NotFound."""
    new = new_key(key_id)
    async with desk.store.transaction():
        now = desk.now
        before = await desk.store.api_keys.by_id(key_id)
        if before is None:
            raise NotFound(f"there is no key {key_id}")
        after = await desk.store.api_keys.rotate(
            key_id, new.digest, now=now, overlap_until=now + overlap
        )
        view = KeyView.model_validate(after)
        await desk.record("key.rotate", key_id, KeyView.model_validate(before), view)
    return view, new.text


async def revoke_key(desk: Desk, key_id: str) -> None:
    """End a key at once. NotFound if there is none that is not revoked."""
    async with desk.store.transaction():
        if not await desk.store.api_keys.revoke(key_id, desk.now):
            raise NotFound(f"there is no key {key_id} that is not revoked")
        await desk.record("key.revoke", key_id)
