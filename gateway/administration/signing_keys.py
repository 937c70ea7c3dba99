"""Acts on the keys that sign our own tokens."""

from gateway.administration.desk import Desk
from gateway.administration.views import SigningKeyView
from gateway.config.auth import Auth
from gateway.identity.own_keys import Rotation, rotate
from gateway.identity.service import token_life_s
from gateway.store.errors import NotFound

__all__ = ["retire_signing_key", "rotate_signing_key"]


async def rotate_signing_key(desk: Desk, auth: Auth) -> SigningKeyView:
    """Add a key as the configuration wants it, and let the others run out."""
    signing = auth.signing
    rotation = Rotation(
        signing.algorithm, signing.rotate_every, signing.publish_before, token_life_s(auth)
    )
    async with desk.store.transaction():
        made = await rotate(desk.store, rotation, desk.now)
        keys = await desk.store.signing_keys.all_valid(desk.now)
        view = SigningKeyView.model_validate(next(key for key in keys if key.kid == made.kid))
        await desk.record("signing_key.rotate", view.kid, after=view)
    return view


async def retire_signing_key(desk: Desk, kid: str) -> None:
    """Let a key count no more, at once: its tokens are refused. NotFound."""
    async with desk.store.transaction():
        if not await desk.store.signing_keys.retire(kid, desk.now):
            raise NotFound(f"there is no signing key {kid} that counts")
        await desk.record("signing_key.retire", kid)
