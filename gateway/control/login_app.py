"""``/auth/…`` and ``/.well-known/jwks.json``: HTTP and JSON around ``gateway.identity``.

Served on a Unix socket in the run_dir; workers proxy to it as to any service, so the socket's peer
is always one of ours, and what it says of the client's address is believed.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.control.client_address import client_address
from gateway.errors import BY_CODE
from gateway.identity.caller import Caller
from gateway.identity.enrolment import MfaRefusal
from gateway.identity.login import Attempt, LoginRefusal
from gateway.identity.passwords import Busy
from gateway.identity.service import IdentityService
from gateway.identity.sessions import TokenPair
from gateway.identity.strict_json import loads_object
from gateway.state.interface import StateUnavailable

__all__ = ["LoginApp"]

MAX_BODY = 16 * 1024
"""Bytes. A login has two hundred."""
MAX_EMAIL = 255
"""Characters, as the guide's schema says."""
MAX_TOKEN = 64
MAX_FINGERPRINT = 256

_MESSAGES: Mapping[str, tuple[int, str]] = {
    "bad_request": (400, "Malformed request"),
    "unsupported_media_type": (415, "The body must be application/json"),
    "invalid_credentials": (401, "Wrong email or password"),
    "mfa_required": (401, "A second factor is required"),
    "mfa_invalid": (401, "Wrong or used second factor"),
    "mfa_enabled": (409, "The second factor is already on"),
    "mfa_not_pending": (409, "No second factor waits to be confirmed"),
    "mfa_not_enabled": (409, "The second factor is not on"),
    "login_locked": (429, "Too many attempts; try again later"),
    "refresh_token_invalid": (401, "Invalid or expired refresh token"),
    "authentication_required": (401, "Authentication required"),
    "token_invalid": (401, "Invalid token"),
    "token_expired": (401, "Token has expired"),
    "token_revoked": (401, "Token has been revoked"),
    "login_unavailable": (503, "Logins are not possible at the moment"),
    **{
        code: (BY_CODE[code].status, BY_CODE[code].message)
        for code in ("route_not_found", "method_not_allowed", "internal_error")
    },
}
"""Code → status and text."""


@dataclass(frozen=True)
class _Refused(Exception):
    """Ends a request. Not a fault: the answer says what to do."""

    code: str
    retry_after_s: int | None = None
    detail: str = ""


Endpoint = Callable[[Request], Awaitable[Response]]

log = logging.getLogger(__name__)


class LoginApp:
    """The ASGI application, and what it counts."""

    def __init__(self, service: Callable[[], IdentityService]) -> None:
        """``service`` is asked anew for each request: a reload may exchange it."""
        self._service = service
        self.results: dict[tuple[str, str], int] = {}
        """Operation and ``ok`` or the code of a refusal → number of answers."""

    def asgi(self) -> ASGIApp:
        """For uvicorn."""
        posts = {
            "/auth/login": self._login,
            "/auth/refresh": self._refresh,
            "/auth/logout": self._logout,
            "/auth/mfa/enrol": self._mfa_enrol,
            "/auth/mfa/confirm": self._mfa_confirm,
            "/auth/mfa/disable": self._mfa_disable,
        }
        routes = [
            Route(path, self._answered(path.removeprefix("/auth/"), endpoint), methods=["POST"])
            for path, endpoint in posts.items()
        ]
        routes.append(Route("/.well-known/jwks.json", self._answered("jwks", self._jwks)))
        app = Starlette(routes=routes, exception_handlers={HTTPException: _no_endpoint})
        app.router.redirect_slashes = False  # it would name a host and scheme that the client says
        return app

    def _answered(self, operation: str, endpoint: Endpoint) -> Endpoint:
        from gateway.store.errors import StoreUnavailable

        async def answer(request: Request) -> Response:
            result = "ok"
            try:
                return await endpoint(request)
            except _Refused as refused:
                result = refused.code
                return _refusal(request, refused)
            except (Busy, StateUnavailable, StoreUnavailable):
                result = "login_unavailable"
                return _refusal(request, _Refused(result, retry_after_s=1))
            except Exception:
                # Not raised again: the server would close a connection on which a worker sends the
                # next request.
                log.exception("/auth/%s failed", operation)
                result = "internal_error"
                return _refusal(request, _Refused(result))
            finally:
                key = (operation, result)
                self.results[key] = self.results.get(key, 0) + 1

        return answer

    # --- endpoints -----------------------------------------------------------------------------

    async def _login(self, request: Request) -> Response:
        body = await _body(request, {"email", "password"}, {"mfaToken"})
        attempt = Attempt(
            email=_text(body, "email", MAX_EMAIL),
            password=_text(body, "password", self._service().max_password),
            mfa_token=_text(body, "mfaToken", MAX_TOKEN) if "mfaToken" in body else None,
            address=self._address(request),
        )
        user = await self._service().login.check(attempt)
        if isinstance(user, LoginRefusal):
            raise _Refused(user.code, user.retry_after_s)
        pair = await self._service().sessions.begin(user, _fingerprint(request))
        if pair is None:  # what was checked is no longer so
            raise _Refused("invalid_credentials")
        return _tokens(pair)

    async def _refresh(self, request: Request) -> Response:
        body = await _body(request, set(), {"refreshToken"})
        shown = _bearer(request)
        if (shown is None) == ("refreshToken" not in body):
            raise _Refused("bad_request", detail="one refresh token, in the body or as Bearer")
        token = _text(body, "refreshToken", MAX_FINGERPRINT) if shown is None else shown
        pair = await self._service().sessions.refresh(token, _fingerprint(request))
        if pair is None:
            raise _Refused("refresh_token_invalid")
        return _tokens(pair)

    async def _logout(self, request: Request) -> Response:
        body = await _body(request, set(), {"all"})
        everywhere = body.get("all", False)
        if not isinstance(everywhere, bool):
            raise _Refused("bad_request", detail="all must be true or false")
        caller = self._caller(request)
        if everywhere:
            await self._service().sessions.end_all(caller.user)
        else:
            await self._service().sessions.end(caller.session)
        return Response(status_code=204, headers=_NOT_STORED)

    async def _mfa_enrol(self, request: Request) -> Response:
        caller = self._caller(request)
        body = await _body(request, {"password"}, set())
        password = _text(body, "password", self._service().max_password)
        enrolment = await self._service().mfa.enrol(caller.user, password, self._address(request))
        if isinstance(enrolment, MfaRefusal):
            raise _Refused(enrolment.code, enrolment.retry_after_s)
        return _json({"secret": enrolment.secret, "uri": enrolment.uri})

    async def _mfa_confirm(self, request: Request) -> Response:
        caller = self._caller(request)
        body = await _body(request, {"mfaToken"}, set())
        token = _text(body, "mfaToken", MAX_TOKEN)
        codes = await self._service().mfa.confirm(caller.user, token)
        if isinstance(codes, MfaRefusal):
            raise _Refused(codes.code, codes.retry_after_s)
        return _json({"recoveryCodes": codes})

    async def _mfa_disable(self, request: Request) -> Response:
        caller = self._caller(request)
        body = await _body(request, {"password", "mfaToken"}, set())
        refused = await self._service().mfa.disable(
            caller.user,
            _text(body, "password", self._service().max_password),
            _text(body, "mfaToken", MAX_TOKEN),
            self._address(request),
        )
        if refused is not None:
            raise _Refused(refused.code, refused.retry_after_s)
        return Response(status_code=204, headers=_NOT_STORED)

    async def _jwks(self, request: Request) -> Response:
        service = self._service()
        keys = service.jwks()
        if not keys:  # an empty set would be kept by those who ask
            return _refusal(request, _Refused("login_unavailable", retry_after_s=1))
        headers = {"cache-control": f"public, max-age={service.jwks_max_age_s}"}
        body = orjson.dumps({"keys": keys})
        return Response(body, headers=headers, media_type="application/jwk-set+json")

    # --- what a request says ---------------------------------------------------------------------

    def _caller(self, request: Request) -> Caller:
        token = _bearer(request)
        if token is None:
            raise _Refused("authentication_required")
        caller = self._service().caller(token.encode("latin-1"), _fingerprint(request))
        if not isinstance(caller, Caller):
            raise _Refused(caller)
        return caller

    def _address(self, request: Request) -> str:
        """The client's."""
        way = request.headers.get("x-forwarded-for", "")
        return client_address(way, self._service().trusted_proxies)


_NOT_STORED = {"cache-control": "no-store"}


def _json(content: Mapping[str, Any], status: int = 200, **headers: str) -> Response:
    return Response(
        orjson.dumps(content), status, {**_NOT_STORED, **headers}, media_type="application/json"
    )


def _tokens(pair: TokenPair) -> Response:
    return _json(
        {
            "accessToken": pair.access_token,
            "refreshToken": pair.refresh_token,
            "expiresIn": pair.expires_in_s,
            "tokenType": "Bearer",
        }
    )


def _refusal(request: Request, refused: _Refused) -> Response:
    status, message = _MESSAGES[refused.code]
    content: dict[str, Any] = {"error": message, "code": refused.code}
    if refused.detail:
        content["error"] = f"{message}: {refused.detail}"
    if correlation_id := request.headers.get("x-correlation-id"):
        content["correlationId"] = correlation_id
    headers = {}
    if refused.retry_after_s is not None:
        content["retryAfter"] = refused.retry_after_s
        headers["retry-after"] = str(refused.retry_after_s)
    if status == 401:
        headers["www-authenticate"] = 'Bearer realm="gateway"'
    return _json(content, status, **headers)


async def _no_endpoint(request: Request, error: Exception) -> Response:
    """Starlette's own refusals have no JSON."""
    assert isinstance(error, HTTPException)
    code = "method_not_allowed" if error.status_code == 405 else "route_not_found"
    answer = _refusal(request, _Refused(code))
    answer.headers.update(error.headers or {})
    return answer


async def _body(request: Request, required: set[str], optional: set[str]) -> dict[str, Any]:
    """The members of the JSON body; nothing but those that are known. Empty if none is required."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BODY:
            raise _Refused("bad_request", detail=f"more than {MAX_BODY >> 10} KiB")
    if not data and not required:
        return {}
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise _Refused("unsupported_media_type")
    try:
        body = loads_object(bytes(data))
    except ValueError as error:
        raise _Refused("bad_request", detail=str(error)) from None
    if missing := required - body.keys():
        raise _Refused("bad_request", detail=f"{min(missing)} is missing")
    if body.keys() - required - optional:
        raise _Refused("bad_request", detail="a member that is not known")
    return body


def _text(body: Mapping[str, Any], name: str, longest: int) -> str:
    value = body[name]
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise _Refused("bad_request", detail=f"{name} must be text of 1 to {longest} characters")
    return value


def _bearer(request: Request) -> str | None:
    """The token of the one Authorization field; None without the field."""
    shown = request.headers.getlist("authorization")
    if not shown:
        return None
    scheme, _, token = shown[0].partition(" ")
    if len(shown) > 1 or scheme.lower() != "bearer" or not token.strip():
        raise _Refused("bad_request", detail="Authorization must be one Bearer token")
    return token.strip()


def _fingerprint(request: Request) -> str | None:
    shown = request.headers.getlist("x-client-fingerprint")
    if len(shown) > 1 or any(not 0 < len(text) <= MAX_FINGERPRINT for text in shown):
        raise _Refused("bad_request", detail="X-Client-Fingerprint")
    return shown[0] if shown else None
