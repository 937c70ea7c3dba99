"""From a request to an operation and back: who calls, what they may, what they send."""

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from gateway.administration.admin_token import digest_of
from gateway.administration.desk import Desk
from gateway.control.admin.errors import ApiError, problems_of
from gateway.control.admin.operation import Call, Operation
from gateway.control.admin.texts import problems_in
from gateway.control.store_link import StoreLink
from gateway.identity.strict_json import loads
from gateway.store.admin_tokens import AdminToken
from gateway.store.errors import Conflict, NotFound, StoreUnavailable, Superseded

__all__ = ["Dispatcher", "answer_of", "refusal_of"]

BODY_LIMIT = 1 << 20
"""Bytes. A route or user has a few hundred; a long list of endpoints some ten thousand."""
RANK: dict[str, int] = {"viewer": 0, "operator": 1, "admin": 2}
"""Each may do what those before it may. A registrar has no rank."""
_ETAG = re.compile(r'"([0-9]{1,9})"')

log = logging.getLogger(__name__)


class Dispatcher:
    """Makes endpoints of operations."""

    def __init__(self, link: StoreLink) -> None:
        self._link = link

    def endpoint(self, operation: Operation) -> Callable[[Request], Awaitable[Response]]:
        """What Starlette calls."""

        async def respond(request: Request) -> Response:
            try:
                return answer_of(operation, await self._perform(operation, request))
            except Exception as error:
                return refusal_of(error)

        return respond

    async def _perform(self, operation: Operation, request: Request) -> BaseModel | None:
        token = await self._caller(request)
        _authorize(token, operation)
        store = self._link.store()
        call = Call(
            request=request,
            desk=Desk(store, f"token {token.name} ({token.id})", token.service),
            expected=_expected(request) if operation.conditional else None,
            body=await _body(request, operation.takes) if operation.takes else None,
        )
        return await operation.handler(call)

    async def _caller(self, request: Request) -> AdminToken:
        fields = request.headers.getlist("authorization")
        scheme, _, text = fields[0].partition(" ") if len(fields) == 1 else ("", "", "")
        if scheme.lower() != "bearer" or not text:
            raise ApiError("unauthenticated", "send one header: Authorization: Bearer TOKEN")
        store = self._link.store()
        token = await store.admin_tokens.by_digest(digest_of(text.strip()))
        if token is None or not token.is_valid(Desk(store, "").now):
            raise ApiError("unauthenticated", "this token is not known, revoked or over")
        return token


def _authorize(token: AdminToken, operation: Operation) -> None:
    if token.role == "registrar" and operation.registrars and token.service is not None:
        return
    if RANK.get(token.role, -1) < RANK[operation.role]:
        text = f"this needs a token of the role {operation.role}, not {token.role}"
        raise ApiError("forbidden", text)


def _expected(request: Request) -> int | None:
    fields = request.headers.getlist("if-match")
    if not fields:
        text = "send If-Match with the ETag of what you have seen, or * to change it regardless"
        raise ApiError("version_required", text)
    value = fields[0].strip()
    if len(fields) == 1 and value == "*":
        return None
    match = _ETAG.fullmatch(value)
    if len(fields) > 1 or match is None:
        raise ApiError("bad_request", 'If-Match must be an ETag such as "3", or *')
    return int(match[1])


async def _body(request: Request, model: type[BaseModel]) -> BaseModel:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError("not_json", "send the body as Content-Type: application/json")
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > BODY_LIMIT:
            raise ApiError("too_large", f"a body has at most {BODY_LIMIT} bytes")
    _check(bytes(data))
    try:
        return model.model_validate_json(bytes(data))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        if found[0]["type"] == "json_invalid":
            raise ApiError("bad_request", "the body is not valid JSON") from None
        raise ApiError("invalid", "the body is not valid", problems_of(found)) from None


def _check(data: bytes) -> None:
    """Before the model reads it, which takes the last of two equal keys and any text."""
    try:
        value = loads(data)
    except ValueError as error:
        raise ApiError("bad_request", f"the body cannot be read: {error}") from None
    if b"\\u0000" in data and (problems := problems_in(value)):
        raise ApiError("invalid", "the body is not valid", problems)


def answer_of(operation: Operation, content: BaseModel | None) -> Response:
    """With an ETag where there is a version; never cached."""
    headers = {"cache-control": "no-store"}
    if content is None:
        return Response(status_code=operation.status, headers=headers)
    version: Any = getattr(content, "version", None)
    if version is not None:
        headers["etag"] = f'"{version}"'
    return _json(content, operation.status, headers)


def refusal_of(error: Exception) -> Response:
    """The answer to what went wrong; what nobody expected is logged."""
    refused = _as_api_error(error)
    headers = {"cache-control": "no-store"}
    if refused.status == 401:
        headers["www-authenticate"] = "Bearer"
    if refused.status == 503:
        headers["retry-after"] = "1"
    if isinstance(error, HTTPException) and error.headers:
        headers |= error.headers  # Allow
    if isinstance(error, Superseded):
        headers["etag"] = f'"{error.current}"'
    return _json(refused.body, refused.status, headers)


def _as_api_error(error: Exception) -> ApiError:
    match error:
        case ApiError():
            return error
        case NotFound():
            return ApiError("not_found", str(error))
        case Superseded():
            return ApiError("version_mismatch", str(error))
        case Conflict():
            return ApiError("conflict", str(error))
        case StoreUnavailable():
            return ApiError("store_unavailable", f"the store cannot be reached: {error}")
        case HTTPException(status_code=405):
            return ApiError("method_not_allowed", "this path knows other methods, see Allow")
        case HTTPException():
            return ApiError("not_found", "there is no such path")
    log.error("the admin API failed", exc_info=error)
    return ApiError("internal", "something went wrong; the log has the cause")


def _json(content: BaseModel, status: int, headers: dict[str, str]) -> Response:
    body = content.model_dump_json(indent=2, exclude_none=False).encode() + b"\n"
    return Response(body, status, headers, media_type="application/json")
