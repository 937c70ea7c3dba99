"""Logins, tokens and keys through whole gateways: data plane, control process and store."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp

from gateway.identity.keys import new_key
from gateway.store.store import Store
from tests.processes.instance import eventually, fetch
from tests.processes.login import PASSWORD, Gateway, add_ann


def test_login_call_logout_refused(gateway: Gateway) -> None:
    tokens = gateway.login()
    assert sorted(tokens) == ["accessToken", "expiresIn", "refreshToken", "tokenType"]
    assert (tokens["expiresIn"], tokens["tokenType"]) == (900, "Bearer")
    access = tokens["accessToken"]
    assert gateway.call(access)[0] == 200
    assert fetch(gateway.address("http"), "/open/x")[0] == 200
    assert fetch(gateway.address("http"), "/read/x")[0] == 401
    assert gateway.call(access, "/write/x")[1]["code"] == "insufficient_scope"
    for _ in range(20):  # both workers know it now
        assert gateway.call(access)[0] == 200
    assert gateway.post("/auth/logout", token=access)[0] == 204
    for _ in range(20):  # and both refuse it at once
        assert gateway.call(access)[1]["code"] == "token_revoked"
    assert gateway.post("/auth/refresh", {"refreshToken": tokens["refreshToken"]})[0] == 401
    assert gateway.post("/auth/logout", token=access)[1]["code"] == "token_revoked"


def test_a_bound_token_needs_its_fingerprint(gateway: Gateway) -> None:
    login = {"email": "ann@example.org", "password": PASSWORD}
    _, tokens = gateway.post("/auth/login", login, **{"x-client-fingerprint": "phone"})
    access = tokens["accessToken"]
    for _ in range(10):  # both workers, from the cache and not
        assert gateway.call(access, X_Client_Fingerprint="phone")[0] == 200
        assert gateway.call(access)[1]["code"] == "token_invalid"
        assert gateway.call(access, X_Client_Fingerprint="laptop")[0] == 401


def test_sessions_that_are_over_are_forgotten(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway()
    now = datetime.now(UTC)

    async def add(store: Store) -> tuple[str, str]:
        user = await add_ann(store)
        for name, days in (("old", -2), ("fresh", 2)):
            until = now + timedelta(days=days)
            await store.sessions.create(name, user, now=now, expires=until)
        return "old", "fresh"

    async def look(store: Store) -> list[bool]:
        return [await store.sessions.by_id(name) is not None for name in names]

    names = gateway.in_store(add)
    gateway.begin()
    eventually(lambda: gateway.in_store(look) == [False, True], "the old one is gone")


def test_logout_everywhere(gateway: Gateway) -> None:
    tokens = [gateway.login()["accessToken"] for _ in range(3)]
    assert [gateway.call(token)[0] for token in tokens] == [200] * 3
    assert gateway.post("/auth/logout", {"all": True}, token=tokens[0])[0] == 204
    assert [gateway.call(token)[0] for token in tokens] == [401] * 3


def test_a_refresh_token_that_comes_twice_ends_its_session(gateway: Gateway) -> None:
    first = gateway.login()
    status, second = gateway.post("/auth/refresh", {"refreshToken": first["refreshToken"]})
    assert status == 200
    assert gateway.call(second["accessToken"])[0] == 200
    status, third = gateway.post("/auth/refresh", token=second["refreshToken"])
    assert status == 200
    for old in (first, second):
        status, answer = gateway.post("/auth/refresh", {"refreshToken": old["refreshToken"]})
        assert (status, answer["code"]) == (401, "refresh_token_invalid")
    assert gateway.post("/auth/refresh", {"refreshToken": third["refreshToken"]})[0] == 401
    for tokens in (first, second, third):
        assert gateway.call(tokens["accessToken"])[1]["code"] == "token_revoked"


def test_second_factor(gateway: Gateway) -> None:
    access = gateway.login()["accessToken"]
    wrong = gateway.post("/auth/mfa/enrol", {"password": "wrong"}, token=access)
    assert wrong[1]["code"] == "invalid_credentials"
    status, enrolment = gateway.post("/auth/mfa/enrol", {"password": PASSWORD}, token=access)
    assert status == 200
    totp = pyotp.TOTP(enrolment["secret"])
    assert enrolment["uri"].startswith("otpauth://totp/")
    assert gateway.post("/auth/mfa/confirm", {"mfaToken": "000000"}, token=access)[0] == 401
    code = totp.now()
    status, confirmed = gateway.post("/auth/mfa/confirm", {"mfaToken": code}, token=access)
    assert (status, len(confirmed["recoveryCodes"])) == (200, 10)

    def login(**more: str) -> tuple[int, Any]:
        body = {"email": "ann@example.org", "password": PASSWORD, **more}
        status, answer = gateway.post("/auth/login", body)
        return status, answer.get("code")

    assert login() == (401, "mfa_required")
    assert login(mfaToken=code) == (401, "mfa_invalid")  # it has been used
    assert login(mfaToken=totp.generate_otp(int(time.time()) // 30 + 1)) == (200, None)
    recovery = confirmed["recoveryCodes"][0]
    assert login(mfaToken=recovery) == (200, None)
    assert login(mfaToken=recovery) == (401, "mfa_invalid")
    off = {"password": PASSWORD, "mfaToken": confirmed["recoveryCodes"][1]}
    assert gateway.post("/auth/mfa/disable", off, token=access)[0] == 204
    assert login() == (200, None)


def test_api_keys(gateway: Gateway) -> None:
    key = new_key()

    async def add(store: Store) -> None:
        ann = await store.users.by_email("ann@example.org")
        assert ann is not None
        now = datetime.now(UTC)
        await store.api_keys.create(key.id, key.digest, ann.id, now=now, scopes=["read", "write"])

    def call(path: str = "/read/x", text: str = key.text) -> tuple[int, dict[str, Any]]:
        status, _, body = fetch(gateway.address("http"), path, X_API_Key=text)
        return status, json.loads(body)

    assert call()[1]["code"] == "api_key_invalid"
    gateway.in_store(add)
    eventually(lambda: call()[0] == 200, "the key is known")
    missing = "insufficient_scope"  # ann may not write
    eventually(lambda: call("/write/x")[1]["code"] == missing, "the other worker knows it")
    assert call(text=key.text[:-1])[1]["code"] == "api_key_invalid"
    assert call(text=new_key().text)[1]["code"] == "api_key_invalid"
    gateway.in_store(lambda store: store.api_keys.revoke(key.id, datetime.now(UTC)))
    eventually(lambda: call()[0] == 401, "the key is refused", 3.0)
