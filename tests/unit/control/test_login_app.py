"""The login endpoints, asked without a socket, on a real store."""

import asyncio
import json
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.control import login_app
from gateway.control.login_app import MAX_BODY
from gateway.identity.tokens import fingerprint_claim
from gateway.state.interface import StateUnavailable
from tests.unit.control.house import ANN, PASSWORD, House, code


async def test_a_login_is_that_of_the_guide(house: House) -> None:
    answer = await house.login()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert list(answer.json()) == ["accessToken", "refreshToken", "expiresIn", "tokenType"]
    found = house.service.caller(answer.json()["accessToken"].encode(), None)
    assert not isinstance(found, str)
    assert found.scopes == {"read", "write"}


async def test_the_address_may_be_written_in_any_case(house: House) -> None:
    assert (await house.login(email=" ANN@Example.org ")).status_code == 200


# Strict input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {}, {"email": "ann@example.org"}, {"password": PASSWORD}, [], "x", 1,
        ANN | {"admin": True}, ANN | {"email": 1}, ANN | {"email": None}, ANN | {"email": ["a"]},
        ANN | {"email": {"$gt": ""}}, ANN | {"password": {"$ne": 1}}, ANN | {"mfaToken": 123456},
        ANN | {"email": "e" * 256}, ANN | {"password": "p" * 129}, ANN | {"password": ""},
        ANN | {"mfaToken": "1" * 65},
    ],
)  # fmt: skip
async def test_malformed_logins(house: House, body: Any) -> None:
    assert code(await house.post("login", body)) == (400, "bad_request")


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"\xff", b'{"email":"a","email":"b","password":"c"}', b"[" * 9000,
        b'{"email":NaN,"password":"x"}', b'{"email":"a@b.c","password":"\\ud800"}',
        b" " * (MAX_BODY + 1),
    ],
)  # fmt: skip
async def test_bodies_that_are_no_login(house: House, data: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = await house.client.post("/auth/login", content=data, headers=headers)
    assert answer.status_code in (400, 401), answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded"])
async def test_only_json_is_read(house: House, media_type: str) -> None:
    """A form on another site can send these without asking; JSON it cannot."""
    headers = {"content-type": media_type} if media_type else {}
    content = json.dumps(ANN).encode()
    answer = await house.client.post("/auth/login", content=content, headers=headers)
    assert code(answer) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "email", ["' OR 1=1 --", "ann@example.org'--", "a@b.c\0", "\u202eann@example.org", "a" * 255]
)
async def test_names_that_are_no_names(house: House, email: str) -> None:
    assert code(await house.login(email=email)) == (401, "invalid_credentials")


async def test_only_post(house: House) -> None:
    assert (await house.client.get("/auth/login")).status_code == 405
    assert (await house.client.get("/auth/other")).status_code == 404


async def test_answers_carry_the_correlation_id(house: House) -> None:
    answer = await house.post("login", {}, x_correlation_id="abc")
    assert answer.json()["correlationId"] == "abc"


# Guessing ---------------------------------------------------------------------------------------


async def test_wrong_and_unknown_are_one_answer(house: House) -> None:
    now = datetime.now(UTC)
    bob = await house.store.users.create("bob@example.org", "x", [], now)
    await house.store.users.change(bob.id, now, disabled=True)
    answers = [
        await house.login(password="wrong"),
        await house.login(email="nobody@example.org"),
        await house.login(email="bob@example.org"),
    ]
    assert {(a.status_code, a.text) for a in answers} == {(401, answers[0].text)}
    assert code(answers[0]) == (401, "invalid_credentials")
    assert answers[0].headers["www-authenticate"].startswith("Bearer")


async def test_wrong_and_unknown_take_the_same_time(house: House) -> None:
    times: dict[str, list[float]] = {"ann@example.org": [], "nobody@example.org": []}
    for n in range(5):
        for email, taken in times.items():
            begin = time.perf_counter()
            await house.login(email=email, password=f"wrong {n}")
            taken.append(time.perf_counter() - begin)
    known, unknown = (statistics.median(taken) for taken in times.values())
    assert unknown == pytest.approx(known, rel=0.6)


@pytest.mark.parametrize("email", ["ann@example.org", "nobody@example.org"])
async def test_an_account_is_locked_whether_it_exists_or_not(house: House, email: str) -> None:
    for n in range(6):
        answer = await house.login(email=email, password="x", mfaToken=str(n))
        assert answer.status_code == 401
    answer = await house.login(email=email)  # right or wrong
    assert code(answer) == (429, "login_locked")
    assert answer.headers["retry-after"] == "900"
    assert answer.json()["retryAfter"] == 900


async def test_a_flood_of_wrong_logins_stops_nobody_else(house: House) -> None:
    """The flood is refused without a hash; others log in meanwhile."""
    flood = [house.login(email=f"user{n % 50}@example.org", password="wrong") for n in range(1000)]
    begin = time.perf_counter()
    answers = await asyncio.gather(*flood)
    assert {a.status_code for a in answers} <= {401, 429, 503}
    assert sum(a.status_code == 401 for a in answers) <= 20  # of one address
    assert time.perf_counter() - begin < 20
    assert (await house.post("login", ANN, x_forwarded_for="192.0.2.2")).status_code == 200


async def test_the_address_behind_trusted_proxies_counts(house: House) -> None:
    for _ in range(21):
        await house.post("login", ANN | {"password": "x", "email": f"{_}@a.b"},
                         x_forwarded_for="203.0.113.9, 192.0.2.7, 10.0.0.1")  # fmt: skip
    blocked = await house.post("login", ANN, x_forwarded_for="198.51.100.1, 192.0.2.7")
    assert code(blocked) == (429, "login_locked")
    # What a client writes himself in front of it changes nothing, and harms nobody else.
    assert (await house.post("login", ANN, x_forwarded_for="203.0.113.9")).status_code == 200


# Refresh, logout --------------------------------------------------------------------------------


async def test_refresh_by_body_or_by_header(house: House) -> None:
    tokens = await house.token()
    again = await house.post("refresh", {"refreshToken": tokens["refreshToken"]})
    assert again.status_code == 200
    bearer = f"Bearer {again.json()['refreshToken']}"
    assert (await house.post("refresh", authorization=bearer)).status_code == 200


@pytest.mark.parametrize("token", ["", "x", "gwr_" + "A" * 43, "a.b.c", "gwr_" + "A" * 500])
async def test_refresh_tokens_that_are_none(house: House, token: str) -> None:
    answer = await house.post("refresh", {"refreshToken": token})
    assert answer.status_code in (400, 401)


async def test_an_access_token_refreshes_nothing(house: House) -> None:
    tokens = await house.token()
    answer = await house.post("refresh", authorization=f"Bearer {tokens['accessToken']}")
    assert code(answer) == (401, "refresh_token_invalid")


async def test_a_refresh_token_logs_nobody_out(house: House) -> None:
    tokens = await house.token()
    answer = await house.post("logout", authorization=f"Bearer {tokens['refreshToken']}")
    assert code(answer) == (401, "token_invalid")


async def test_two_refresh_tokens_are_none(house: House) -> None:
    tokens = await house.token()
    bearer = f"Bearer {tokens['refreshToken']}"
    answer = await house.post("refresh", {"refreshToken": "x"}, authorization=bearer)
    assert code(answer) == (400, "bad_request")
    assert code(await house.post("refresh")) == (400, "bad_request")


async def test_of_many_at_once_one_gets_new_tokens(house: House) -> None:
    tokens = await house.token()
    body = {"refreshToken": tokens["refreshToken"]}
    answers = await asyncio.gather(*[house.post("refresh", body) for _ in range(5)])
    assert sorted(a.status_code for a in answers) == [200, 401, 401, 401, 401]
    # All of them came from one token, so one of them was a thief: nobody goes on.
    new = next(a for a in answers if a.status_code == 200).json()["refreshToken"]
    assert (await house.post("refresh", {"refreshToken": new})).status_code == 401


async def test_refresh_tokens_and_sessions_end(house: House) -> None:
    tokens = await house.token()
    house.clock.ahead = 7 * 86_400 + 1
    answer = await house.post("refresh", {"refreshToken": tokens["refreshToken"]})
    assert code(answer) == (401, "refresh_token_invalid")
    house.clock.ahead = 0
    current = (await house.token())["refreshToken"]
    for day in range(6, 36, 6):
        house.clock.ahead = day * 86_400
        answer = await house.post("refresh", {"refreshToken": current})
        if answer.status_code != 200:
            assert day == 30  # the session's time is over, however often it was refreshed
            return
        current = answer.json()["refreshToken"]
    raise AssertionError("the session did not end")


async def test_scopes_that_were_taken_away_are_gone_at_the_next_refresh(house: House) -> None:
    tokens = await house.token()
    ann = await house.store.users.by_email("ann@example.org")
    assert ann is not None
    await house.store.users.change(ann.id, datetime.now(UTC), scopes=["read", "admin"])
    answer = await house.post("refresh", {"refreshToken": tokens["refreshToken"]})
    found = house.service.caller(answer.json()["accessToken"].encode(), None)
    assert not isinstance(found, str)
    assert found.scopes == {"read"}


async def test_a_disabled_user_refreshes_no_more(house: House) -> None:
    tokens = await house.token()
    ann = await house.store.users.by_email("ann@example.org")
    assert ann is not None
    await house.store.users.change(ann.id, datetime.now(UTC), disabled=True)
    answer = await house.post("refresh", {"refreshToken": tokens["refreshToken"]})
    assert code(answer) == (401, "refresh_token_invalid")
    assert house.service.caller(tokens["accessToken"].encode(), None) == "token_revoked"


async def test_logout_needs_a_token(house: House) -> None:
    assert code(await house.post("logout")) == (401, "authentication_required")
    assert code(await house.post("logout", authorization="Basic eA==")) == (400, "bad_request")
    assert code(await house.post("logout", authorization="Bearer x")) == (401, "token_invalid")


async def test_bound_tokens(house: House, caplog: pytest.LogCaptureFixture) -> None:
    answer = await house.post("login", ANN, x_client_fingerprint="device 7")
    tokens = answer.json()
    access = tokens["accessToken"].encode()
    assert house.service.caller(access, None) == "token_invalid"
    found = house.service.caller(access, "device 7")
    assert not isinstance(found, str)
    assert found.claims["client_fingerprint"] == fingerprint_claim("device 7")
    body = {"refreshToken": tokens["refreshToken"]}
    stolen = await house.post("refresh", body, x_client_fingerprint="device 8")
    assert code(stolen) == (401, "refresh_token_invalid")
    assert house.service.caller(access, "device 7") == "token_revoked"
    late = await house.post("refresh", body, x_client_fingerprint="device 7")
    assert code(late) == (401, "refresh_token_invalid")
    assert caplog.text.count("its session is revoked") == 1, "by the first of the two"
    assert "came from another client" in caplog.text


async def test_what_is_no_endpoint_is_refused_as_everywhere(house: House) -> None:
    answer = await house.client.get("/auth/login", headers={"x-correlation-id": "c1"})
    assert code(answer) == (405, "method_not_allowed")
    assert (answer.headers["allow"], answer.json()["correlationId"]) == ("POST", "c1")
    assert code(await house.post("nothing")) == (404, "route_not_found")
    assert code(await house.post("login/")) == (404, "route_not_found"), "it redirects nowhere"


# Outages ----------------------------------------------------------------------------------------


async def test_a_store_that_is_away(house: House) -> None:
    tokens = await house.token()
    house.away = True
    for answer in (
        await house.login(),
        await house.post("refresh", {"refreshToken": tokens["refreshToken"]}),
        await house.post("logout", authorization=f"Bearer {tokens['accessToken']}"),
    ):
        assert code(answer) == (503, "login_unavailable")
        assert answer.headers["retry-after"] == "1"


async def test_tries_that_nobody_looked_at_do_not_count(house: House) -> None:
    house.away = True
    for _ in range(30):
        assert code(await house.login()) == (503, "login_unavailable")
    house.away = False
    assert (await house.login()).status_code == 200


async def test_a_state_that_is_away(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object, **__: object) -> int:
        raise StateUnavailable("away")

    monkeypatch.setattr(house.state, "count", away)
    assert code(await house.login()) == (503, "login_unavailable")


async def test_key_set(house: House) -> None:
    answer = await house.client.get("/.well-known/jwks.json")
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    (key,) = answer.json()["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}


async def test_answers_are_counted(house: House) -> None:
    await house.login()
    await house.login(password="wrong")
    assert house.app.results == {("login", "ok"): 1, ("login", "invalid_credentials"): 1}


def test_every_code_is_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "authentication.md").read_text()
    assert all(f"`{code}`" in text for code in login_app._MESSAGES)


@pytest.mark.parametrize("email", ["\\ud800@x.org", "ann\\udfff@example.org"])
async def test_text_that_is_none_is_refused(house: House, email: str) -> None:
    """Half of a surrogate pair: JSON can write it, and nothing can store it."""
    body = f'{{"email": "{email}", "password": "x"}}'
    headers = {"content-type": "application/json", "x-forwarded-for": "192.0.2.1"}
    answer = await house.client.post("/auth/login", content=body, headers=headers)
    assert code(answer) == (400, "bad_request")


async def test_a_fault_tells_nothing_and_is_not_raised_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server would close a connection on which a worker sends the next request."""

    async def fails(*_: object) -> None:
        raise RuntimeError("of the inside")

    monkeypatch.setattr(house.service.login, "check", fails)
    answer = await house.login()
    assert code(answer) == (500, "internal_error")
    assert "inside" not in answer.text
    monkeypatch.setattr(house.service, "jwks", lambda: [][0])
    assert code(await house.client.get("/.well-known/jwks.json")) == (500, "internal_error")


@pytest.mark.parametrize(
    "same",
    [
        ("2001:db8::1", "2001:db8:0:0:ffff::2", "[2001:db8::3]:443", "2001:DB8::4"),
        ("203.0.113.7", "::ffff:203.0.113.7", "::ffff:cb00:7107", "203.0.113.7:1234"),
    ],
)
async def test_spellings_of_an_address_are_one_address(house: House, same: tuple[str, ...]) -> None:
    """Of IPv6 a /64: a subscriber has a whole network."""
    for n in range(20):
        answer = await house.post(
            "login", {"email": f"u{n}@x.org", "password": "x"}, x_forwarded_for=same[n % len(same)]
        )
        assert code(answer) == (401, "invalid_credentials")
    for address in same:
        answer = await house.post("login", ANN, x_forwarded_for=address)
        assert code(answer) == (429, "login_locked")
    assert (await house.login()).status_code == 200


async def test_who_comes_behind_a_proxy_that_says_nonsense_counts_as_the_proxy(
    house: House,
) -> None:
    for n in range(20):
        body = {"email": f"u{n}@x.org", "password": "x"}
        await house.post("login", body, x_forwarded_for=f"nonsense{n}, 10.0.0.9")
    answer = await house.post("login", ANN, x_forwarded_for="unknown, 10.0.0.9")
    assert code(answer) == (429, "login_locked")
    answer = await house.post("login", ANN, x_forwarded_for="unknown, 10.0.0.8")
    assert answer.status_code == 200
