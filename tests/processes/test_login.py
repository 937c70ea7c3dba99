"""Logins, tokens and keys through whole gateways: data plane, control process and store."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pyotp
import pytest

from gateway.identity.keys import new_key
from gateway.identity.passwords import Passwords
from gateway.store.store import Store
from tests.processes.instance import Instance, connection, eventually, fetch
from tests.servers.redis import RedisServer
from tests.servers.upstream import EchoUpstream

Result = TypeVar("Result")

PASSWORD = "Correct-Horse-7!"
CONFIG = """\
server:
  http: 127.0.0.1:0
  admin: 127.0.0.1:0
  status: 127.0.0.1:0
  workers: 2
  run_dir: {run_dir}
  log: {{ access: off }}
store: {{ url: "{store}" }}
state: {{ url: "{state}", timeout: 1s }}
auth: {{ lockout: {{ delay_after: 100 }} }}
services:
  web: {{ endpoints: [ http://{upstream} ] }}
routes:
  - {{ path: "/open/{{path...}}", service: web, auth: none }}
  - {{ path: "/read/{{path...}}", service: web, scopes: [read] }}
  - {{ path: "/write/{{path...}}", service: web, scopes: [write] }}
"""


class Gateway(Instance):
    """An instance with its own configuration, and a user who may read."""

    def __init__(self, directory: Path, upstream: str, store: str, state: str) -> None:
        self.text = CONFIG.format(
            run_dir=directory / "run", store=store, state=state, upstream=upstream
        )
        self.store_url = store
        super().__init__(directory)

    def write_config(self, extra: str = "") -> None:
        self.config.write_text(self.text + extra)

    def in_store(self, change: Callable[[Store], Coroutine[Any, Any, Result]]) -> Result:
        """What an administrator does with the database, from another process."""

        async def run() -> Result:
            async with Store.open(self.store_url) as store:
                return await change(store)

        return asyncio.run(run())

    def begin(self) -> None:
        """Start it, and wait until it serves logins."""
        self.start(data_plane="real")
        jwks = "/.well-known/jwks.json"
        eventually(lambda: fetch(self.address("http"), jwks)[0] == 200, "logins are served")

    def post(
        self, path: str, body: Any = None, token: str | None = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        with connection(self.address("http")) as link:
            fields = {"content-type": "application/json", **headers}
            if token is not None:
                fields["authorization"] = f"Bearer {token}"
            link.request("POST", path, None if body is None else json.dumps(body), fields)
            response = link.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text else {}

    def login(self, **changes: Any) -> dict[str, Any]:
        status, answer = self.post(
            "/auth/login", {"email": "ann@example.org", "password": PASSWORD, **changes}
        )
        assert status == 200, answer
        return answer

    def call(self, token: str, path: str = "/read/x", **headers: str) -> tuple[int, dict[str, Any]]:
        status, _, body = fetch(
            self.address("http"), path, Authorization=f"Bearer {token}", **headers
        )
        return status, json.loads(body)


def until_refused(gateway: Gateway, token: str, within_s: float = 1.0) -> dict[str, Any]:
    begin = time.monotonic()
    while True:
        status, answer = gateway.call(token)
        if status == 401:
            return answer
        assert time.monotonic() - begin < within_s, "not refused in time"


async def add_ann(store: Store) -> str:
    passwords = Passwords()
    try:
        hashed = await passwords.hash(PASSWORD)
    finally:
        passwords.close()
    return (await store.users.create("ann@example.org", hashed, ["read"], datetime.now(UTC))).id


@pytest.fixture
def make_gateway(tmp_path: Path, echo: EchoUpstream) -> Iterator[Callable[..., Gateway]]:
    made: list[Gateway] = []

    def make(store: str = "", state: str = "memory://") -> Gateway:
        directory = tmp_path / f"g{len(made)}"
        directory.mkdir()
        host, port = echo.address
        upstream = f"{host}:{port}"
        made.append(Gateway(directory, upstream, store or f"sqlite:///{directory}/g.db", state))
        return made[-1]

    yield make
    for gateway in made:
        gateway.end()


@pytest.fixture
def gateway(make_gateway: Callable[..., Gateway]) -> Gateway:
    """A running one with a user."""
    made = make_gateway()
    made.in_store(add_ann)
    made.begin()
    return made


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


def test_two_hosts_one_redis_one_database(
    make_gateway: Callable[..., Gateway], postgres_server: Any, redis_server: Any
) -> None:
    """Log in at A, call through B, log out at B, refused at A within a second."""
    store, state = postgres_server.database(), redis_server().url
    first, second = make_gateway(store, state), make_gateway(store, state)
    first.in_store(add_ann)
    first.begin()
    second.begin()
    access = first.login()["accessToken"]
    for gateway in (first, second):
        for _ in range(10):
            assert gateway.call(access)[0] == 200
    assert second.post("/auth/logout", token=access)[0] == 204
    assert second.call(access)[1]["code"] == "token_revoked"
    assert until_refused(first, access)["code"] == "token_revoked"


def test_two_hosts_one_database_without_redis(
    make_gateway: Callable[..., Gateway], postgres_server: Any
) -> None:
    """The database's own notifications do as well."""
    store = postgres_server.database()
    first, second = make_gateway(store), make_gateway(store)
    first.in_store(add_ann)
    first.begin()
    second.begin()
    access = first.login()["accessToken"]
    assert [gateway.call(access)[0] for gateway in (first, second)] == [200, 200]
    assert second.post("/auth/logout", token=access)[0] == 204
    until_refused(first, access)


def test_a_logout_outlives_a_restart_of_everything(gateway: Gateway) -> None:
    access, other = gateway.login()["accessToken"], gateway.login()["accessToken"]
    assert gateway.post("/auth/logout", token=access)[0] == 204
    gateway.verb("stop")
    gateway.wait()
    gateway.begin()
    assert gateway.call(access)[1]["code"] == "token_revoked"
    assert gateway.call(other)[0] == 200  # the signing key is the same


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


def test_without_control_what_is_known_goes_on(gateway: Gateway) -> None:
    access, pid = gateway.login()["accessToken"], gateway.status()["control"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(10):
            assert gateway.call(access)[0] == 200  # workers have the keys
        begin = time.monotonic()
        status, _, body = fetch(gateway.address("http"), "/read/x", X_API_Key=new_key().text)
        assert (status, json.loads(body)["code"]) == (503, "authentication_unavailable")
        assert time.monotonic() - begin < 3
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(("stance", "expected"), [("fail_open", 200), ("fail_closed", 503)])
def test_redis_dies(
    make_gateway: Callable[..., Gateway], redis_server: Any, stance: str, expected: int
) -> None:
    redis: RedisServer = redis_server()
    gateway = make_gateway(state=redis.url)
    gateway.text = gateway.text.replace("timeout: 1s", f"when_away: {{ revocations: {stance} }}")
    gateway.write_config()
    gateway.in_store(add_ann)
    gateway.begin()
    access, other = gateway.login()["accessToken"], gateway.login()["accessToken"]
    assert gateway.call(access)[0] == 200
    redis.kill()
    eventually(lambda: gateway.call(access)[0] == expected, "the stance is taken")
    if stance == "fail_open":
        assert gateway.login()["accessToken"]
        assert gateway.post("/auth/logout", token=other)[0] == 204
        assert gateway.call(other)[1]["code"] == "token_revoked"
    assert b"gateway_state_up 0" in fetch(gateway.address("status"), "/metrics")[2]
    redis.start()
    up = "the metric says so"
    eventually(lambda: b"gateway_state_up 1" in fetch(gateway.address("status"), "/metrics")[2], up)
    eventually(lambda: gateway.call(access)[0] == 200, "tokens are accepted again")
