"""The admin API's operations on registered instances."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.control.admin.conftest import Admin, code_of

ONE = {"service": "web", "url": "http://10.0.0.1:80", "weight": 3, "zone": "a", "ttl_s": 60}


async def test_an_instance_registers_lives_and_leaves(admin: Admin) -> None:
    made = await admin.made("/instances", ONE)
    assert {name: made[name] for name in ONE} == ONE
    assert (made["active"], made["health"], made["version"]) == (True, "unknown", 1)
    path = f"/instances/{made['id']}"
    beaten = await admin.call("POST", f"{path}/heartbeat")
    assert beaten.status_code == 200
    assert beaten.json()["expires_at"] > made["expires_at"]
    again = await admin.made("/instances", ONE | {"weight": 4})
    assert (again["id"], again["weight"], again["version"]) == (made["id"], 4, 2)
    shown = await admin.call("GET", path)
    assert shown.headers["etag"] == '"2"'
    gone = await admin.call("DELETE", path, if_match='"2"')
    assert gone.status_code == 204
    assert code_of(await admin.call("GET", path)) == (404, "not_found")
    assert code_of(await admin.call("POST", f"{path}/heartbeat")) == (404, "not_found")
    subject = "web http://10.0.0.1:80"
    assert await admin.actions() == [
        ("instance.register", subject), ("instance.renew", subject),
        ("instance.deregister", subject),
    ]  # fmt: skip


async def test_what_is_said_again_is_no_event(admin: Admin) -> None:
    made = await admin.made("/instances", ONE)
    before = await admin.link.store().changes.current()
    again = await admin.made("/instances", ONE)
    assert again["version"] == 1
    assert again["expires_at"] > made["expires_at"]
    assert await admin.link.store().changes.current() == before
    assert len(await admin.actions()) == 1


async def test_who_writes_its_url_otherwise_is_the_same(admin: Admin) -> None:
    made = await admin.made("/instances", ONE)
    again = await admin.made("/instances", ONE | {"url": "http://10.0.0.1/"})
    assert (again["id"], again["url"]) == (made["id"], ONE["url"])


async def test_the_state_says_who_may_get_requests(admin: Admin) -> None:
    made = await admin.made("/instances", ONE)
    path = f"/instances/{made['id']}"
    assert made["state"] == "active"
    long_ago = datetime.now(UTC) - timedelta(minutes=5)
    await admin.link.store().instances.heartbeat(made["id"], long_ago)
    assert (await admin.call("GET", path)).json()["state"] == "expired"
    [listed] = (await admin.call("GET", "/instances")).json()["items"]
    assert (listed["state"], listed["active"]) == ("expired", True)
    changed = await admin.call("PATCH", path, {"active": False}, if_match="*")
    assert changed.json()["state"] == "inactive"


async def test_a_change_needs_the_version(admin: Admin) -> None:
    made = await admin.made("/instances", ONE)
    path = f"/instances/{made['id']}"
    assert code_of(await admin.call("PATCH", path, {"active": False}))[0] == 428
    changed = await admin.call("PATCH", path, {"active": False, "zone": None}, if_match='"1"')
    body = changed.json()
    assert (body["active"], body["zone"], body["version"]) == (False, None, 2)
    stale = await admin.call("PATCH", path, {"active": True}, if_match='"1"')
    assert code_of(stale) == (412, "version_mismatch")
    nothing = await admin.call("PATCH", path, {}, if_match="*")
    assert code_of(nothing) == (422, "invalid")


async def test_lists_are_paged_and_of_one_service(admin: Admin) -> None:
    for number in range(3):
        await admin.made("/instances", ONE | {"url": f"http://10.0.0.{number}:80"})
    await admin.made("/instances", ONE | {"service": "other"})
    page = (await admin.call("GET", "/instances?limit=2&service=web")).json()
    assert [item["url"] for item in page["items"]] == ["http://10.0.0.0:80", "http://10.0.0.1:80"]
    rest = (await admin.call("GET", f"/instances?service=web&after={page['next']}")).json()
    assert [item["url"] for item in rest["items"]] == ["http://10.0.0.2:80"]
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", "ftp://a"), ("url", "http://a:1/" + "x" * 300), ("weight", -1), ("weight", 70_000),
        ("zone", "eu west"), ("zone", ""), ("ttl_s", 1), ("service", "a b"), ("ttl_s", "60"),
        ("metadata", [1]), ("color", "red"), ("url", "unix:///run/a.sock"),
    ],
)  # fmt: skip
async def test_nonsense_is_refused(admin: Admin, field: str, value: Any) -> None:
    answer = await admin.call("POST", "/instances", ONE | {field: value})
    assert code_of(answer) == (422, "invalid")
    assert answer.json()["problems"][0]["field"] == field


async def test_endpoints_of_a_definition_are_not_instances(admin: Admin) -> None:
    await admin.made("/services", {"name": "s", "definition": {"endpoints": ["http://a:1"]}})
    refused = await admin.call("POST", "/instances", ONE | {"service": "s"})
    assert code_of(refused) == (409, "conflict")


async def test_roles(admin: Admin) -> None:
    viewer = await admin.token_with("viewer")
    operator = await admin.token_with("operator")
    assert code_of(await admin.call("POST", "/instances", ONE, viewer)) == (403, "forbidden")
    assert (await admin.call("POST", "/instances", ONE, operator)).status_code == 200
    assert (await admin.call("GET", "/instances", token=viewer)).status_code == 200
    assert code_of(await admin.call("GET", "/instances/x")) == (404, "not_found")


async def test_a_registrar_may_do_what_its_instances_need(admin: Admin) -> None:
    token = await admin.token_with("registrar", service="web")
    made = (await admin.call("POST", "/instances", ONE, token)).json()
    path = f"/instances/{made['id']}"
    assert (await admin.call("POST", f"{path}/heartbeat", token=token)).status_code == 200
    changed = await admin.call("PATCH", path, {"weight": 9}, token, if_match="*")
    assert changed.json()["weight"] == 9
    assert (await admin.call("GET", path, token=token)).status_code == 200
    listed = await admin.call("GET", "/instances", token=token)
    assert [row["id"] for row in listed.json()["items"]] == [made["id"]]
    assert (await admin.call("DELETE", path, token=token, if_match="*")).status_code == 204


async def test_a_registrar_sees_and_changes_no_other_service(admin: Admin) -> None:
    other = await admin.made("/instances", ONE | {"service": "other"})
    token = await admin.token_with("registrar", service="web")
    path = f"/instances/{other['id']}"
    for method, place, body in (
        ("GET", path, None), ("PATCH", path, {"weight": 0}), ("DELETE", path, None),
        ("POST", f"{path}/heartbeat", None),
    ):  # fmt: skip
        refused = await admin.call(method, place, body, token, if_match="*")
        assert code_of(refused) == (404, "not_found"), method
    foreign = ONE | {"service": "other"}
    assert code_of(await admin.call("POST", "/instances", foreign, token)) == (403, "forbidden")
    listed = await admin.call("GET", "/instances?service=other", token=token)
    assert code_of(listed) == (403, "forbidden")
    assert (await admin.call("GET", "/instances", token=token)).json()["items"] == []
    assert (await admin.call("GET", path)).json()["version"] == other["version"]
