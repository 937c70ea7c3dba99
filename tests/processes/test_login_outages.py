"""Several hosts, and what holds while database, Redis or the control process are away."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pyotp
import pytest
from redis.asyncio import Redis

from gateway.identity.keys import new_key
from gateway.store.store import Store
from tests.processes.instance import eventually, fetch
from tests.processes.login import PASSWORD, Gateway, add_ann, until_refused
from tests.servers.load import Load
from tests.servers.redis import RedisServer


async def delete(redis_url: str, key: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        await redis.delete(key)


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


@pytest.mark.parametrize("stance", ["fail_open", "fail_closed"])
def test_a_start_without_the_database(
    make_gateway: Callable[..., Gateway], postgres_server: Any, stance: str
) -> None:
    """Our tokens are verified at once, what is revoked stays so, and nobody can log in."""
    gateway = make_gateway(postgres_server.database())
    away = f"timeout: 1s, when_away: {{ revocations: {stance} }}"
    gateway.text = gateway.text.replace("timeout: 1s", away)
    gateway.write_config()
    gateway.in_store(add_ann)
    gateway.begin()
    tokens, gone = gateway.login(), gateway.login()["accessToken"]
    access = tokens["accessToken"]
    assert gateway.post("/auth/logout", token=gone)[0] == 204
    gateway.signal(signal.SIGKILL)
    gateway.wait()
    postgres_server.stop()
    try:
        gateway.begin()
        for _ in range(10):  # both workers
            if stance == "fail_open":
                assert gateway.call(access)[0] == 200
                assert gateway.call(gone)[1]["code"] == "token_revoked"
            else:  # another host may have revoked it meanwhile
                assert gateway.call(access)[1]["code"] == "authentication_unavailable"
        assert gateway.call(access + "x")[0] in (401, 503)
        login = {"email": "ann@example.org", "password": PASSWORD}
        for path, body in (
            ("/auth/login", login),
            ("/auth/refresh", {"refreshToken": tokens["refreshToken"]}),
        ):
            status, answer = gateway.post(path, body)
            assert (status, answer["code"]) == (503, "login_unavailable")
    finally:
        postgres_server.start()
    eventually(lambda: gateway.post("/auth/login", login)[0] == 200, "logins are back")
    eventually(lambda: gateway.call(access)[0] == 200, "the token counts")
    assert gateway.call(gone)[1]["code"] == "token_revoked"


def test_a_host_that_starts_late_hears_of_redis_what_was_revoked(
    make_gateway: Callable[..., Gateway], postgres_server: Any, redis_server: Any
) -> None:
    """Revoked at A while B was down; B starts without the database and without the stream."""
    store, redis = postgres_server.database(), redis_server()
    first, second = make_gateway(store, redis.url), make_gateway(store, redis.url)
    first.in_store(add_ann)
    first.begin()
    second.begin()
    gone, access = first.login()["accessToken"], first.login()["accessToken"]
    assert second.call(gone)[0] == 200
    second.verb("stop")
    second.wait()
    assert first.post("/auth/logout", token=gone)[0] == 204
    asyncio.run(delete(redis.url, "revocations"))
    postgres_server.stop()
    try:
        second.begin()
        until_refused(second, gone, 5.0)
        assert second.call(gone)[1]["code"] == "token_revoked"
        assert second.call(access)[0] == 200
    finally:
        postgres_server.start()


def test_a_code_of_the_second_factor_counts_once_on_all_hosts(
    make_gateway: Callable[..., Gateway], postgres_server: Any
) -> None:
    store = postgres_server.database()
    hosts = [make_gateway(store), make_gateway(store)]
    secret = pyotp.random_base32()

    async def add(opened: Store) -> None:
        await opened.users.set_mfa(await add_ann(opened), secret, [], datetime.now(UTC))

    hosts[0].in_store(add)
    for host in hosts:
        host.begin()
    code = pyotp.TOTP(secret).now()
    body = {"email": "ann@example.org", "password": PASSWORD, "mfaToken": code}
    with ThreadPoolExecutor(4) as together:
        asked = [together.submit(host.post, "/auth/login", body) for host in (*hosts, *hosts)]
    answers = sorted((one.result()[0], one.result()[1].get("code", "")) for one in asked)
    assert answers == [(200, ""), *[(401, "mfa_invalid")] * 3]


def test_without_control_what_is_known_goes_on(gateway: Gateway) -> None:
    access, pid = gateway.login()["accessToken"], gateway.status()["control"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(10):
            assert gateway.call(access)[0] == 200  # workers have the keys
        begin = time.monotonic()
        status, _, body = fetch(gateway.address("http"), "/read/x", X_API_Key=new_key().text)
        assert (status, json.loads(body)["code"]) == (503, "authentication_unavailable")
        assert time.monotonic() - begin < 8
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
    load = Load(
        gateway.address("http"), 8, "/read/x", f"Authorization: Bearer {access}\r\n",
        statuses=(200, expected), body=None,
    )  # fmt: skip
    load.start()
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
    load.stop()
    assert load.answered > 100
    assert load.failures == []  # nothing hung, and nothing but the stance was answered
