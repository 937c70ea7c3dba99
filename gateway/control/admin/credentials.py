"""Operations on API keys, clients, signing keys and the admin API's own tokens."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any, TypeVar

from gateway.administration import admin_tokens, clients, keys, signing_keys
from gateway.administration.users import user_of
from gateway.administration.views import (
    AdminTokenView,
    AuditView,
    ClientView,
    KeyUseView,
    KeyView,
    SigningKeyView,
    View,
)
from gateway.config.auth import Auth
from gateway.control.admin.bodies import (
    AdminTokenCreated,
    AdminTokenCreation,
    ClientChange,
    ClientCreated,
    ClientCreation,
    KeyCreated,
    KeyCreation,
    KeyRotation,
    Page,
)
from gateway.control.admin.errors import ApiError
from gateway.control.admin.operation import Call, Operation, Query, page_of
from gateway.control.admin.people import refuse_empty
from gateway.store.errors import NotFound
from gateway.store.store import Store

__all__ = ["credential_operations"]

Shown = TypeVar("Shown", bound=View)

USAGE_DAYS = 30
"""Of uses that are shown without `since`."""


def credential_operations(auth: Callable[[], Auth]) -> list[Operation]:
    """Their rows of the table. ``auth``: the section in force."""
    signing = _signing_operations(auth)
    return [*_key_operations(), *_client_operations(), *signing, *_other_operations()]


def _key_operations() -> list[Operation]:
    many, one = "/api/v1/keys", "/api/v1/keys/{name}"
    owner = Query("owner", "Only those of this user: id or address.")
    since = Query("since", "First day, as in 2026-01-31; by default 30 days ago.")
    return [
        Operation("GET", many, "listKeys", "List API keys.", "viewer", list_keys,
                  Page[KeyView], query=[owner], paged=True),
        Operation("POST", many, "createKey", "Add an API key; the answer shows it, once.",
                  "operator", create_key, KeyCreated, KeyCreation, 201),
        Operation("GET", one, "getKey", "Show an API key.", "viewer", get_key, KeyView),
        Operation("DELETE", one, "revokeKey", "End an API key at once.", "operator", revoke_key,
                  status=204),
        Operation("POST", f"{one}/rotate", "rotateKey",
                  "Give a key a newer text; the answer shows it, once.", "operator", rotate_key,
                  KeyCreated, KeyRotation),
        Operation("GET", f"{one}/usage", "getKeyUsage", "Show uses per day and route.",
                  "viewer", get_usage, Page[KeyUseView], query=[since]),
    ]  # fmt: skip


def _client_operations() -> list[Operation]:
    many, one = "/api/v1/clients", "/api/v1/clients/{name}"
    return [
        Operation("GET", many, "listClients", "List clients.", "viewer",
                  listed(lambda store: store.clients, ClientView, "name"),
                  Page[ClientView], paged=True),
        Operation("POST", many, "createClient", "Add a client; the answer shows its secret, once.",
                  "admin", create_client, ClientCreated, ClientCreation, 201),
        Operation("GET", one, "getClient", "Show a client, by id or name.", "viewer",
                  get_client, ClientView),
        Operation("PATCH", one, "changeClient", "Change a client.", "admin", change_client,
                  ClientView, ClientChange, conditional=True),
        Operation("DELETE", one, "deleteClient", "Remove a client.", "admin", delete_client,
                  status=204, conditional=True),
        Operation("POST", f"{one}/secret", "renewClientSecret",
                  "Replace a client's secret; the answer shows it, once.", "admin",
                  renew_client_secret, ClientCreated, conditional=True),
    ]  # fmt: skip


def _signing_operations(auth: Callable[[], Auth]) -> list[Operation]:
    async def rotate(call: Call) -> SigningKeyView:
        return await signing_keys.rotate_signing_key(call.desk, auth())

    signing = "/api/v1/signing-keys"
    return [
        Operation("GET", signing, "listSigningKeys", "List signing keys that count.", "viewer",
                  list_signing_keys, Page[SigningKeyView]),
        Operation("POST", f"{signing}/rotate", "rotateSigningKey",
                  "Add a signing key and let the others run out.", "admin", rotate,
                  SigningKeyView, status=201),
        Operation("DELETE", f"{signing}/{{name}}", "retireSigningKey",
                  "Let a signing key count no more, at once.", "admin", retire_signing_key,
                  status=204),
    ]  # fmt: skip


def _other_operations() -> list[Operation]:
    tokens = "/api/v1/admin-tokens"
    return [
        Operation("GET", tokens, "listAdminTokens", "List tokens of this API.", "admin",
                  listed(lambda store: store.admin_tokens, AdminTokenView, "id"),
                  Page[AdminTokenView], paged=True),
        Operation("POST", tokens, "createAdminToken", "Add a token; the answer shows it, once.",
                  "admin", create_admin_token, AdminTokenCreated, AdminTokenCreation, 201),
        Operation("DELETE", f"{tokens}/{{name}}", "revokeAdminToken", "End a token at once.",
                  "admin", revoke_admin_token, status=204),
        Operation("GET", "/api/v1/audit", "listAudit", "Show who changed what, newest first.",
                  "admin", list_audit, Page[AuditView], paged=True),
    ]  # fmt: skip


def listed(
    repository: Callable[[Store], Any], view: type[Shown], key: str
) -> Callable[[Call], Awaitable[Page[Shown]]]:
    """The operation that lists a table in the order of its key."""

    async def rows(call: Call) -> Page[Shown]:
        after = call.query("after") or ""
        list_rows = repository(call.desk.store).list
        return await page_of(
            call,
            lambda limit: list_rows(after, limit),
            view.model_validate,
            lambda row: str(getattr(row, key)),
        )

    return rows


# --- keys ------------------------------------------------------------------------------------


async def list_keys(call: Call) -> Page[KeyView]:
    """In the order of their ids."""
    owner, after = call.query("owner"), call.query("after") or ""
    owner_id = (await user_of(call.desk, owner)).id if owner else None
    repository = call.desk.store.api_keys
    return await page_of(
        call,
        lambda limit: repository.list(owner_id, after, limit),
        KeyView.model_validate,
        lambda key: key.id,
    )


async def create_key(call: Call) -> KeyCreated:
    """The only answer with its text, but for a rotation's."""
    body: KeyCreation = call.body
    view, text = await keys.create_key(
        call.desk,
        body.owner,
        name=body.name,
        scopes=body.scopes,
        expires=body.expires_at,
        rate_limit_policy=body.rate_limit_policy,
        client=body.client,
    )
    return KeyCreated(**view.model_dump(), key=text)


async def get_key(call: Call) -> KeyView:
    """By id."""
    key = await call.desk.store.api_keys.by_id(call.name)
    if key is None:
        raise NotFound(f"there is no key {call.name}")
    return KeyView.model_validate(key)


async def rotate_key(call: Call) -> KeyCreated:
    """By id."""
    body: KeyRotation = call.body
    overlap = timedelta(seconds=body.overlap_s)
    view, text = await keys.rotate_key(call.desk, call.name, overlap)
    return KeyCreated(**view.model_dump(), key=text)


async def revoke_key(call: Call) -> None:
    """By id."""
    await keys.revoke_key(call.desk, call.name)


async def get_usage(call: Call) -> Page[KeyUseView]:
    """By id; days of the last month unless said otherwise."""
    since = call.desk.now.date() - timedelta(days=USAGE_DAYS)
    if (text := call.query("since")) is not None:
        try:
            since = date.fromisoformat(text)
        except ValueError:
            raise ApiError("bad_request", "since must be a day, as in 2026-01-31") from None
    await get_key(call)  # 404 for what is no key
    uses = await call.desk.store.api_keys.usage(call.name, since)
    items = [KeyUseView(day=day, route=route, uses=count) for day, route, count in uses]
    return Page(items=items, next=None)


# --- clients ---------------------------------------------------------------------------------


async def create_client(call: Call) -> ClientCreated:
    """The only answer with its secret, but for a renewal's."""
    body: ClientCreation = call.body
    view, secret = await clients.create_client(
        call.desk, body.name, body.scopes, body.rate_limit_policy
    )
    return ClientCreated(**view.model_dump(), secret=secret)


async def get_client(call: Call) -> ClientView:
    """By id or name."""
    return ClientView.model_validate(await clients.client_of(call.desk, call.name))


async def change_client(call: Call) -> ClientView:
    """Name, scopes, active, policy."""
    body: ClientChange = call.body
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    refuse_empty(changes, nullable=frozenset({"rate_limit_policy"}))
    return await clients.change_client(call.desk, call.name, call.expected, **changes)


async def renew_client_secret(call: Call) -> ClientCreated:
    """The one before it is worth nothing at once."""
    view, secret = await clients.renew_client_secret(call.desk, call.name, call.expected)
    return ClientCreated(**view.model_dump(), secret=secret)


async def delete_client(call: Call) -> None:
    """By id or name."""
    await clients.delete_client(call.desk, call.name, call.expected)


# --- signing keys, admin tokens, audit log ---------------------------------------------------


async def list_signing_keys(call: Call) -> Page[SigningKeyView]:
    """The newest first. There are never many."""
    found = await call.desk.store.signing_keys.all_valid(call.desk.now)
    return Page(items=[SigningKeyView.model_validate(key) for key in found], next=None)


async def retire_signing_key(call: Call) -> None:
    """By kid."""
    await signing_keys.retire_signing_key(call.desk, call.name)


async def create_admin_token(call: Call) -> AdminTokenCreated:
    """The only answer with its text."""
    body: AdminTokenCreation = call.body
    view, text = await admin_tokens.create_admin_token(
        call.desk, body.name, body.role, body.expires_at, body.service
    )
    return AdminTokenCreated(**view.model_dump(), token=text)


async def revoke_admin_token(call: Call) -> None:
    """By id; also one's own."""
    await admin_tokens.revoke_admin_token(call.desk, call.name)


async def list_audit(call: Call) -> Page[AuditView]:
    """The newest first."""
    text = call.query("after")
    if text is not None and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ApiError("bad_request", "after must be what an answer gave as next")
    before = None if text is None else int(text)
    audit = call.desk.store.audit
    return await page_of(
        call,
        lambda limit: audit.list(before, limit),
        AuditView.model_validate,
        lambda entry: str(entry.id),
    )
