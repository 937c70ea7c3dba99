"""Acts on the keys that sign our own tokens."""

import asyncio
from datetime import timedelta

from gateway.administration.desk import Desk
from gateway.administration.views import SigningKeyView
from gateway.identity.signing import SigningAlgorithm, new_signing_key
from gateway.store.errors import NotFound
from gateway.store.signing_keys import NewSigningKey

__all__ = ["retire_signing_key", "rotate_signing_key"]


async def rotate_signing_key(
    desk: Desk, algorithm: SigningAlgorithm, announce: timedelta, overlap: timedelta
) -> SigningKeyView:
    """Add a key. It is published now and signs after `announce`; the others count `overlap` more.

    `overlap` begins when the new key signs, and should be no shorter than a token's life.
    """
    now = desk.now
    starts = now + announce
    # On a thread: an RSA key takes tenths of a second.
    made = await asyncio.to_thread(new_signing_key, algorithm, int(starts.timestamp()))
    new = NewSigningKey(made.kid, made.algorithm, made.private_pem, made.public_jwk)
    async with desk.store.transaction():
        key = await desk.store.signing_keys.rotate(
            new, now=now, not_before=starts, overlap_until=starts + overlap
        )
        view = SigningKeyView.model_validate(key)
        await desk.record("signing_key.rotate", key.kid, after=view)
    return view


async def retire_signing_key(desk: Desk, kid: str) -> None:
    """Let a key count no more, at once: its tokens are refused. NotFound."""
    async with desk.store.transaction():
        if not await desk.store.signing_keys.retire(kid, desk.now):
            raise NotFound(f"there is no signing key {kid} that counts")
        await desk.record("signing_key.retire", kid)
