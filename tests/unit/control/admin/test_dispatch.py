"""What holds for every operation: tokens, roles, bodies, conditions, errors."""

from pathlib import Path
from typing import Any

import pytest

from gateway.store.errors import StoreUnavailable
from tests.unit.control.admin.conftest import WEB, Admin, code_of

USER = {"email": "ann@example.org", "password": "correct-Horse7!"}


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer gwa_1_2", "Bearer ' OR 1=1"],
)
async def test_without_a_token_nothing_is_shown(admin: Admin, authorization: str) -> None:
    answer = await admin.call("GET", "/users", authorization=authorization)
    assert code_of(answer) == (401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_two_tokens_are_none(admin: Admin) -> None:
    token = admin.tokens[0]
    headers = [("authorization", f"Bearer {token}"), ("authorization", f"Bearer {token}")]
    answer = await admin.http.get("/api/v1/users", headers=headers)
    assert code_of(answer) == (401, "unauthenticated")


async def test_a_revoked_or_expired_token_is_refused_at_once(admin: Admin) -> None:
    made = await admin.made("/admin-tokens", {"name": "x", "role": "viewer"})
    assert (await admin.call("GET", "/users", token=made["token"])).status_code == 200
    assert (await admin.call("DELETE", f"/admin-tokens/{made['id']}")).status_code == 204
    answer = await admin.call("GET", "/users", token=made["token"])
    assert code_of(answer) == (401, "unauthenticated")
    past = {"name": "y", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z"}
    old = await admin.made("/admin-tokens", past)
    assert (await admin.call("GET", "/users", token=old["token"])).status_code == 401


@pytest.mark.parametrize(
    ("role", "reads", "operates", "administers"),
    [("viewer", 200, 403, 403), ("operator", 200, 201, 403), ("admin", 200, 201, 201)],
)
async def test_roles_build_on_each_other(
    admin: Admin, role: str, reads: int, operates: int, administers: int
) -> None:
    token = await admin.token_with(role)
    service = {"name": "x", "definition": WEB}
    assert (await admin.call("GET", "/users", token=token)).status_code == reads
    answer = await admin.call("POST", "/services", service, token=token)
    assert answer.status_code == operates
    answer = await admin.call("POST", "/users", USER, token=token)
    assert answer.status_code == administers
    if administers == 403:
        assert answer.json()["error"] == f"this needs a token of the role admin, not {role}"


async def test_a_registrar_may_do_nothing_that_is_not_about_instances(admin: Admin) -> None:
    token = await admin.token_with("registrar", service="web")
    document = (await admin.call("GET", "/openapi.json")).json()
    tried = 0
    for path, methods in document["paths"].items():
        for method in methods:
            place = path.removeprefix("/api/v1").replace("{name}", "1")
            if not path.startswith("/api/v1/") or place.startswith("/instances"):
                continue
            answer = await admin.call(method.upper(), place, token=token)
            assert code_of(answer) == (403, "forbidden"), (method, path)
            tried += 1
    assert tried > 30


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "bad_request"),
        (b"", "application/json", 400, "bad_request"),
        (b'"\xff"', "application/json", 400, "bad_request"),
        (b"[]", "application/json", 422, "invalid"),
        (b"{}", "application/json", 422, "invalid"),
        (b"{}", "text/plain", 415, "not_json"),
        (b"{}", "", 415, "not_json"),
        (b"email=a", "application/x-www-form-urlencoded", 415, "not_json"),
        (b"[" * 100_000, "application/json", 400, "bad_request"),
        (b" " * (1 << 20) + b"{}", "application/json", 413, "too_large"),
        (b'{"email": "a@b.org", "email": "c@b.org"}', "application/json", 400, "bad_request"),
        (b'{"email": "\\ud800@b.org"}', "application/json", 400, "bad_request"),
        (b'{"email": NaN}', "application/json", 400, "bad_request"),
    ],
)
async def test_bodies_that_are_none(
    admin: Admin, content: bytes, kind: str, status: int, code: str
) -> None:
    headers = {"authorization": f"Bearer {admin.tokens[0]}", "content-type": kind}
    answer = await admin.http.post("/api/v1/users", content=content, headers=headers)
    assert code_of(answer) == (status, code)


async def test_a_repeated_key_is_read_in_no_way(admin: Admin) -> None:
    headers = {"authorization": f"Bearer {admin.tokens[0]}", "content-type": "application/json"}
    bodies = {
        "/admin-tokens": b'{"name": "d", "role": "viewer", "role": "admin"}',
        "/services": b'{"name": "x", "definition": {"endpoints": ["http://a"], "endpoints": []}}',
    }
    for path, content in bodies.items():
        answer = await admin.http.post(f"/api/v1{path}", content=content, headers=headers)
        assert code_of(answer) == (400, "bad_request")
        assert answer.json()["error"] == "the body cannot be read: a repeated key"
    assert len((await admin.call("GET", "/admin-tokens")).json()["items"]) == 1


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/clients", {"name": "a\0b"}, "name"),
        ("/keys", {"owner": "ann@example.org", "name": "\0"}, "name"),
        ("/keys", {"owner": "\0"}, "owner"),
        ("/admin-tokens", {"name": "\0", "role": "viewer"}, "name"),
        (
            "/services",
            {"name": "x", "definition": {**WEB, "fallback": {"body": "\0"}}},
            "definition.fallback.body",
        ),
        (
            "/instances",
            {"service": "x", "url": "http://a:1", "metadata": {"a": [{"b": "x\0"}]}},
            "metadata.a[0].b",
        ),
        ("/instances", {"service": "x", "url": "http://a:1", "metadata": {"\0": 1}}, "metadata"),
    ],
)
async def test_text_that_no_database_keeps_is_refused(
    admin_on_postgres: Admin, path: str, body: Any, field: str
) -> None:
    answer = await admin_on_postgres.call("POST", path, body)
    assert code_of(answer) == (422, "invalid")
    [problem] = answer.json()["problems"]
    assert (problem["field"], "U+0000" in problem["problem"]) == (field, True)


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00"])
async def test_a_moment_that_utc_does_not_have_is_refused(admin: Admin, moment: str) -> None:
    body = {"name": "x", "role": "viewer", "expires_at": moment}
    answer = await admin.call("POST", "/admin-tokens", body)
    assert code_of(answer) == (422, "invalid")
    assert answer.json()["problems"][0]["field"] == "expires_at"


async def test_names_that_no_database_keeps_are_nobodys(admin_on_postgres: Admin) -> None:
    document = (await admin_on_postgres.call("GET", "/openapi.json")).json()
    tried = 0
    for path, methods in document["paths"].items():
        place = path.removeprefix("/api/v1")
        if not path.startswith("/api/v1/") or "{name}" not in place:
            continue
        for method in methods.keys() - {"post", "patch", "put"}:
            answer = await admin_on_postgres.call(
                method.upper(), place.replace("{name}", "%00"), if_match="*"
            )
            assert code_of(answer) == (404, "not_found"), (method, path)
            tried += 1
    assert tried > 15


@pytest.mark.parametrize(
    "path",
    ["/users?after=%00", "/keys?owner=%00", "/sessions?user=%00", "/clients?after=%00",
     "/instances?service=%00", "/audit?after=%00"],
)  # fmt: skip
async def test_queries_that_no_database_keeps_are_refused(
    admin_on_postgres: Admin, path: str
) -> None:
    assert code_of(await admin_on_postgres.call("GET", path)) == (400, "bad_request")


async def test_all_that_is_wrong_is_listed_without_its_value(admin: Admin) -> None:
    body = {"email": "nobody", "password": 12345, "scopes": ["a b", "ok"], "role": "root"}
    answer = await admin.call("POST", "/users", body)
    assert code_of(answer) == (422, "invalid")
    problems = {row["field"]: row["problem"] for row in answer.json()["problems"]}
    assert problems.keys() == {"email", "password", "scopes[0]", "role"}
    assert problems["email"] == "'nobody' is not an email address, such as ann@example.org"
    assert problems["role"] == "there is no such field"
    assert "12345" not in answer.text


@pytest.mark.parametrize(
    ("if_match", "status", "code"),
    [
        (None, 428, "version_required"),
        ('"7"', 412, "version_mismatch"),
        ("1", 400, "bad_request"),
        ('W/"1"', 400, "bad_request"),
        ('"1", "2"', 400, "bad_request"),
        ('"one"', 400, "bad_request"),
    ],
)
async def test_changes_name_the_version_they_have_seen(
    admin: Admin, if_match: str | None, status: int, code: str
) -> None:
    await admin.made("/users", USER)
    headers = {} if if_match is None else {"if_match": if_match}
    answer = await admin.call("PATCH", "/users/ann@example.org", {"scopes": []}, **headers)
    assert code_of(answer) == (status, code)
    if status == 412:
        assert answer.headers["etag"] == '"1"'


async def test_the_etag_of_one_answer_is_the_condition_of_the_next(admin: Admin) -> None:
    await admin.made("/users", USER)
    path = "/users/ann@example.org"
    for scopes in (["a"], ["b"]):
        seen = await admin.call("GET", path)
        answer = await admin.call("PATCH", path, {"scopes": scopes}, if_match=seen.headers["etag"])
        assert answer.json()["scopes"] == scopes
    assert (await admin.call("PATCH", path, {"scopes": []}, if_match="*")).status_code == 200
    assert seen.headers["cache-control"] == "no-store"


async def test_paths_and_methods_that_are_none(admin: Admin) -> None:
    assert code_of(await admin.call("GET", "/nothing")) == (404, "not_found")
    answer = await admin.call("PUT", "/users")
    assert code_of(answer) == (405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    assert (await admin.call("HEAD", "/users")).status_code == 200


@pytest.mark.parametrize("limit", ["0", "201", "-1", "x", "1e3", "٣"])
async def test_limits_that_are_none(admin: Admin, limit: str) -> None:
    assert code_of(await admin.call("GET", f"/users?limit={limit}")) == (400, "bad_request")


async def test_foreign_hosts_are_refused_before_anything_else(admin: Admin) -> None:
    assert code_of(await admin.call("GET", "/users", host="evil.example")) == (403, "wrong_host")


async def test_a_store_that_is_away_is_said_so(admin: Admin, tmp_path: Path) -> None:
    closed = Admin(tmp_path, f"sqlite:///{tmp_path}/none/gateway.db")
    answer = await closed.call("GET", "/users", token="x")
    assert code_of(answer) == (503, "store_unavailable")
    assert answer.headers["retry-after"] == "1"
    assert (await closed.call("GET", "/openapi.json", token="x")).status_code == 200


async def test_a_fault_is_logged_and_not_shown(
    admin: Admin, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*arguments: object) -> None:
        raise RuntimeError("hunter2")

    monkeypatch.setattr(admin.link.store().users, "list", fail)
    answer = await admin.call("GET", "/users")
    assert code_of(answer) == (500, "internal")
    assert "hunter2" not in answer.text
    assert "hunter2" in caplog.text


async def test_an_outage_in_the_middle_is_a_503(
    admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*arguments: object) -> None:
        raise StoreUnavailable("connection refused")

    monkeypatch.setattr(admin.link.store().users, "list", fail)
    answer = await admin.call("GET", "/users")
    assert code_of(answer) == (503, "store_unavailable")
    assert "connection refused" in answer.json()["error"]
