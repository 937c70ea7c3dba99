"""Acts on the tokens of the admin API."""

from datetime import datetime

from gateway.administration.admin_token import new_admin_token
from gateway.administration.desk import Desk
from gateway.administration.views import AdminTokenView, Role
from gateway.config.values import parse_name
from gateway.store.errors import NotFound

__all__ = ["check_service", "create_admin_token", "revoke_admin_token"]


def check_service(role: Role, service: str | None) -> None:
    """A registrar registers instances of one service; no other role is bound to one. ValueError."""
    if role == "registrar" and service is None:
        raise ValueError("the role registrar needs the service whose instances it registers")
    if role != "registrar" and service is not None:
        raise ValueError(f"only the role registrar is bound to a service, not {role}")
    if service is not None:
        parse_name(service)


async def create_admin_token(
    desk: Desk,
    name: str,
    role: Role,
    expires: datetime | None = None,
    service: str | None = None,
) -> tuple[AdminTokenView, str]:
    """Add a token; returns it and its text, now and never again. ValueError (`check_service`)."""
    check_service(role, service)
    new = new_admin_token()
    async with desk.store.transaction():
        token = await desk.store.admin_tokens.create(
            new.id, new.digest, name=name, role=role, now=desk.now, expires=expires, service=service
        )
        view = AdminTokenView.model_validate(token)
        await desk.record("admin_token.create", token.id, after=view)
    return view, new.text


async def revoke_admin_token(desk: Desk, token_id: str) -> None:
    """End a token at once. NotFound if there is none that is not revoked."""
    async with desk.store.transaction():
        if not await desk.store.admin_tokens.revoke(token_id, desk.now):
            raise NotFound(f"there is no token {token_id} that is not revoked")
        await desk.record("admin_token.revoke", token_id)
