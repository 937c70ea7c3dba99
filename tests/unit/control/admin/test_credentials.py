"""API keys, clients, signing keys, admin tokens, the audit log."""

from datetime import UTC, datetime

import pytest

from gateway.identity.keys import parse_key
from gateway.store.api_keys import KeyUse
from tests.unit.control.admin.conftest import Admin, code_of

USER = {"email": "ann@example.org", "password": "correct-Horse7!"}


async def test_a_key_from_creation_to_revocation(admin: Admin) -> None:
    await admin.made("/users", USER)
    body = {"owner": "ann@example.org", "name": "ci", "scopes": ["read"]}
    made = await admin.made("/keys", body)
    parsed = parse_key(made.pop("key"))
    assert parsed is not None
    path = f"/keys/{parsed[0]}"
    assert (await admin.call("GET", path)).json() == made
    rotated = await admin.made(f"{path}/rotate", {"overlap_s": 60})
    again = parse_key(rotated["key"])
    assert again is not None
    assert again[0] == parsed[0]
    assert rotated["version"] == 2
    assert (await admin.call("DELETE", path)).status_code == 204
    assert code_of(await admin.call("DELETE", path)) == (404, "not_found")
    assert code_of(await admin.call("POST", f"{path}/rotate", {})) == (404, "not_found")
    log = (await admin.call("GET", "/audit")).text
    assert rotated["key"] not in log
    assert [action for action, _ in await admin.actions()] == [
        "user.create", "key.create", "key.rotate", "key.revoke",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"owner": "bob@x.org"}, 404),
        ({"owner": "ann@example.org", "expires_at": "2030-01-01T00:00:00"}, 422),
        ({"owner": "ann@example.org", "rate_limit_policy": "no name"}, 422),
        ({"owner": "ann@example.org", "client": "none"}, 404),
        ({"owner": "ann@example.org", "id": "mine"}, 422),
        ({"owner": ""}, 422),
    ],
)
async def test_keys_that_cannot_be(admin: Admin, body: dict[str, str], status: int) -> None:
    await admin.made("/users", USER)
    assert (await admin.call("POST", "/keys", body)).status_code == status


async def test_a_key_of_a_client(admin: Admin) -> None:
    await admin.made("/users", USER)
    client = await admin.made("/clients", {"name": "shop"})
    made = await admin.made("/keys", {"owner": "ann@example.org", "client": "shop"})
    assert (made["client_id"], made["client_name"]) == (client["id"], "shop")


async def test_keys_are_listed_with_their_uses(admin: Admin) -> None:
    await admin.made("/users", USER)
    made = await admin.made("/keys", {"owner": "ann@example.org"})
    now = datetime.now(UTC)
    await admin.link.store().api_keys.add_usage([KeyUse(made["id"], now.date(), "/a", 3, now)])
    listed = (await admin.call("GET", "/keys?owner=ann@example.org")).json()["items"]
    assert [key["id"] for key in listed] == [made["id"]]
    assert listed[0]["last_used_at"] is not None
    usage = (await admin.call("GET", f"/keys/{made['id']}/usage")).json()["items"]
    assert usage == [{"day": now.date().isoformat(), "route": "/a", "uses": 3}]
    later = await admin.call("GET", f"/keys/{made['id']}/usage?since=2999-01-01")
    assert later.json()["items"] == []
    wrong = await admin.call("GET", f"/keys/{made['id']}/usage?since=today")
    assert code_of(wrong) == (400, "bad_request")
    assert code_of(await admin.call("GET", "/keys/none/usage")) == (404, "not_found")


async def test_a_client_from_creation_to_removal(admin: Admin) -> None:
    made = await admin.made("/clients", {"name": "shop", "scopes": ["read"]})
    secret = made.pop("secret")
    assert (await admin.call("GET", "/clients/shop")).json() == made
    assert code_of(await admin.call("POST", "/clients", {"name": "shop"})) == (409, "conflict")
    changed = await admin.call("PATCH", "/clients/shop", {"active": False}, if_match='"1"')
    assert changed.json()["active"] is False
    renewed = await admin.call("POST", "/clients/shop/secret", if_match='"2"')
    assert renewed.json()["secret"] != secret
    unknown = await admin.call(
        "PATCH", "/clients/shop", {"rate_limit_policy": "none"}, if_match="*"
    )
    assert code_of(unknown) == (404, "not_found")
    none = await admin.call("PATCH", "/clients/shop", {"rate_limit_policy": None}, if_match="*")
    assert none.status_code == 200
    assert code_of(await admin.call("PATCH", "/clients/shop", {"name": None}, if_match="*")) == (
        422, "invalid",
    )  # fmt: skip
    listed = (await admin.call("GET", "/clients")).json()["items"]
    assert [client["name"] for client in listed] == ["shop"]
    assert (await admin.call("DELETE", "/clients/shop", if_match="*")).status_code == 204
    assert code_of(await admin.call("GET", "/clients/shop")) == (404, "not_found")
    assert secret not in (await admin.call("GET", "/audit")).text


async def test_signing_keys_are_rotated_and_retired(admin: Admin) -> None:
    one = await admin.made("/signing-keys/rotate", None)
    two = await admin.made("/signing-keys/rotate", None)
    assert two["algorithm"] == "ES256", "as configured"
    listed = await admin.call("GET", "/signing-keys")
    assert {key["kid"] for key in listed.json()["items"]} == {one["kid"], two["kid"]}
    assert "PRIVATE" not in listed.text
    assert (await admin.call("DELETE", f"/signing-keys/{one['kid']}")).status_code == 204
    assert (await admin.call("DELETE", f"/signing-keys/{one['kid']}")).status_code == 404
    assert await admin.actions() == [
        ("signing_key.rotate", one["kid"]),
        ("signing_key.rotate", two["kid"]),
        ("signing_key.retire", one["kid"]),
    ]


async def test_admin_tokens_are_shown_once(admin: Admin) -> None:
    made = await admin.made("/admin-tokens", {"name": "ci", "role": "operator"})
    listed = await admin.call("GET", "/admin-tokens")
    assert {row["name"] for row in listed.json()["items"]} == {"first", "ci"}
    assert made["token"] not in listed.text
    assert (await admin.call("DELETE", "/admin-tokens/none")).status_code == 404
    assert (await admin.call("POST", "/admin-tokens", {"name": "x", "role": "root"})
            ).status_code == 422  # fmt: skip


async def test_a_registrar_is_bound_to_a_service_and_nobody_else_is(admin: Admin) -> None:
    made = await admin.made("/admin-tokens", {"name": "web", "role": "registrar", "service": "web"})
    assert (made["role"], made["service"]) == ("registrar", "web")
    for wrong in (
        {"role": "registrar"},
        {"role": "registrar", "service": None},
        {"role": "registrar", "service": ""},
        {"role": "operator", "service": "web"},
    ):
        refused = await admin.call("POST", "/admin-tokens", {"name": "x"} | wrong)
        assert code_of(refused) == (422, "invalid"), wrong


async def test_the_audit_log_is_read_page_by_page(admin: Admin) -> None:
    for name in "abc":
        await admin.made("/clients", {"name": name})
    first = (await admin.call("GET", "/audit?limit=2")).json()
    assert [entry["subject"] for entry in first["items"]] == ["c", "b"]
    entry = first["items"][0]
    assert entry["actor"].startswith("token first (")
    assert entry["after"]["name"] == "c"
    second = (await admin.call("GET", f"/audit?limit=2&after={first['next']}")).json()
    assert [entry["subject"] for entry in second["items"]] == ["a"]
    assert code_of(await admin.call("GET", "/audit?after=x")) == (400, "bad_request")
