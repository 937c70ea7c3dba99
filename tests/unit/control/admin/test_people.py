"""Users and sessions."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.control.admin.conftest import Admin, code_of

PASSWORD = "correct-Horse7!"
USER = {"email": "Ann@Example.org", "password": PASSWORD, "scopes": ["write", "read"]}
ANN = "/users/ann@example.org"


async def session_of(admin: Admin, user_id: str, name: str) -> None:
    now = datetime.now(UTC)
    await admin.link.store().sessions.create(
        name, user_id, now=now, expires=now + timedelta(hours=1)
    )


async def test_a_user_from_creation_to_removal(admin: Admin) -> None:
    made = await admin.made("/users", USER)
    assert (made["email"], made["scopes"]) == ("ann@example.org", ["read", "write"])
    assert (await admin.call("GET", ANN)).json() == made
    assert (await admin.call("GET", f"/users/{made['id']}")).json() == made
    again = await admin.call("POST", "/users", USER)
    assert code_of(again) == (409, "conflict")
    changed = await admin.call("PATCH", ANN, {"disabled": True}, if_match='"1"')
    assert (changed.json()["disabled"], changed.headers["etag"]) == (True, '"2"')
    assert (await admin.call("DELETE", ANN, if_match='"2"')).status_code == 204
    assert code_of(await admin.call("GET", ANN)) == (404, "not_found")
    assert code_of(await admin.call("DELETE", ANN, if_match="*")) == (404, "not_found")
    assert await admin.actions() == [
        ("user.create", "ann@example.org"),
        ("user.change", "ann@example.org"),
        ("user.delete", "ann@example.org"),
    ]


async def test_no_answer_and_no_log_holds_a_secret(admin: Admin) -> None:
    await admin.made("/users", USER)
    await admin.call("PATCH", ANN, {"password": "other-Horse8!"}, if_match="*")
    for path in (ANN, "/users", "/audit"):
        text = (await admin.call("GET", path)).text
        assert "Horse" not in text
        assert "argon2" not in text


async def test_passwords_keep_the_configured_rules(admin: Admin) -> None:
    await admin.made("/users", {"email": "bob@x.org", "password": "no-Digit!"})
    answer = await admin.call("POST", "/users", {**USER, "password": "short"})
    assert code_of(answer) == (422, "invalid")
    assert {row["field"] for row in answer.json()["problems"]} == {"password"}
    await admin.made("/users", USER)
    answer = await admin.call("PATCH", ANN, {"password": "short"}, if_match="*")
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("body", "field"), [({}, None), ({"scopes": None}, "scopes"), ({"disabled": None}, "disabled")]
)
async def test_changes_of_nothing(admin: Admin, body: dict[str, None], field: str | None) -> None:
    await admin.made("/users", USER)
    answer = await admin.call("PATCH", ANN, body, if_match="*")
    assert code_of(answer) == (422, "invalid")
    assert [row["field"] for row in answer.json()["problems"]] == ([field] if field else [])


async def test_pages_of_users(admin: Admin) -> None:
    for name in "cab":
        await admin.made("/users", {"email": f"{name}@x.org", "password": PASSWORD})
    first = (await admin.call("GET", "/users?limit=2")).json()
    assert [user["email"] for user in first["items"]] == ["a@x.org", "b@x.org"]
    second = (await admin.call("GET", f"/users?limit=2&after={first['next']}")).json()
    assert [user["email"] for user in second["items"]] == ["c@x.org"]
    assert second["next"] is None


async def test_who_is_disabled_is_logged_out(admin: Admin) -> None:
    made = await admin.made("/users", USER)
    await session_of(admin, made["id"], "s")
    await admin.call("PATCH", ANN, {"disabled": True}, if_match="*")
    assert (await admin.call("GET", "/sessions/s")).json()["revoked_at"] is not None


async def test_sessions_are_listed_and_revoked(admin: Admin) -> None:
    made = await admin.made("/users", USER)
    for name in ("a", "b", "c"):
        await session_of(admin, made["id"], name)
    listed = (await admin.call("GET", "/sessions?user=ann@example.org&limit=2")).json()
    assert [session["id"] for session in listed["items"]] == ["a", "b"]
    assert (await admin.call("GET", "/sessions?user=bob@x.org")).status_code == 404
    assert (await admin.call("DELETE", "/sessions/a")).status_code == 204
    assert code_of(await admin.call("DELETE", "/sessions/a")) == (404, "not_found")
    assert (await admin.call("DELETE", f"{ANN}/sessions")).json() == {"revoked": 2}
    assert code_of(await admin.call("GET", "/sessions/none")) == (404, "not_found")
