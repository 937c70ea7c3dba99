"""Routes, services, policies: tried first, in force when answered."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.control.admin.conftest import TEXT, WEB, Admin, code_of

SHOP = {"name": "shop", "definition": WEB}
CART = {"name": "cart", "definition": {"path": "/cart", "service": "shop"}}


async def test_a_route_and_its_service_from_creation_to_removal(admin: Admin) -> None:
    await admin.made("/services", SHOP)
    made = await admin.made("/routes", CART)
    assert (made["source"], made["state"], made["version"]) == ("store", "live", 1)
    in_force = [route.get("name") for route in admin.instance.publication.config["routes"]]
    assert in_force == [None, "b", "cart"]
    moved = {"definition": {"path": "/basket", "service": "shop"}}
    replaced = await admin.call("PUT", "/routes/cart", moved, if_match='"1"')
    assert (replaced.json()["state"], replaced.headers["etag"]) == ("live", '"2"')
    assert (await admin.call("GET", "/routes/cart")).json() == replaced.json()
    assert (await admin.call("DELETE", "/routes/cart", if_match='"2"')).status_code == 204
    assert len(admin.instance.publication.config["routes"]) == 2
    assert code_of(await admin.call("GET", "/routes/cart")) == (404, "not_found")
    assert await admin.actions() == [
        ("service.create", "shop"), ("route.create", "cart"), ("route.replace", "cart"),
        ("route.delete", "cart"),
    ]  # fmt: skip


async def test_lists_show_the_file_first(admin: Admin) -> None:
    await admin.made("/services", SHOP)
    await admin.made("/routes", CART)
    page = (await admin.call("GET", "/routes?limit=2")).json()
    assert [(row["name"], row["source"]) for row in page["items"]] == [
        ("/a", "file"), ("b", "file"),
    ]  # fmt: skip
    rest = (await admin.call("GET", f"/routes?limit=2&after={page['next']}")).json()
    assert [(row["name"], row["source"]) for row in rest["items"]] == [("cart", "store")]
    services = (await admin.call("GET", "/services")).json()["items"]
    assert [(row["name"], row["source"]) for row in services] == [
        ("web", "file"),
        ("shop", "store"),
    ]
    assert code_of(await admin.call("GET", "/routes?after=x")) == (400, "bad_request")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/routes", {"name": "b", "definition": {}}),
        ("/services", {"name": "web", "definition": {}}),
    ],
)
async def test_what_stands_in_the_file_is_read_only(
    admin: Admin, path: str, body: dict[str, Any]
) -> None:
    assert (await admin.call("GET", f"{path}/{body['name']}")).json()["source"] == "file"
    assert code_of(await admin.call("POST", path, body)) == (409, "read_only")
    change: dict[str, Any] = {"definition": {}}
    answer = await admin.call("PUT", f"{path}/{body['name']}", change, if_match="*")
    assert code_of(answer) == (409, "read_only")
    answer = await admin.call("DELETE", f"{path}/{body['name']}", if_match="*")
    assert code_of(answer) == (409, "read_only")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"name": "x", "definition": {"path": "/x", "service": "no"}}, "there is no service 'no'"),
        ({"name": "x", "definition": {"path": "x", "service": "web"}}, "path pattern"),
        ({"name": "x", "definition": {"path": "/a", "service": "web"}}, "can never match"),
        ({"name": "x", "definition": {"path": "/x", "service": "web", "y": 1}}, "unknown key 'y'"),
        ({"name": "x", "definition": {"name": "y", "path": "/", "service": "web"}}, "two names"),
        ({"name": "x/y", "definition": {}}, "is not valid"),
        ({"name": "x", "definition": []}, "is not valid"),
    ],
)
async def test_what_would_not_serve_is_not_stored(
    admin: Admin, body: dict[str, Any], problem: str
) -> None:
    answer = await admin.call("POST", "/routes", body)
    assert code_of(answer) == (422, "invalid")
    assert problem in answer.text
    assert await admin.link.store().routes.list() == []


@pytest.mark.parametrize(
    ("definition", "path"),
    [
        ({"discovery": {"consul": {"service": "x", "token_file": "/etc/shadow"}}}, "token_file"),
        ({"discovery": {"consul": {"service": "x", "token": "hunter2"}}}, "token"),
        ({"endpoints": ["unix:///run/docker.sock"]}, "endpoints[0].url"),
    ],
)
async def test_what_the_file_alone_may_say_is_not_stored(
    admin: Admin, definition: dict[str, Any], path: str
) -> None:
    await admin.made("/services", SHOP)
    body = {"name": "x", "definition": definition}
    created = await admin.call("POST", "/services", body)
    replaced = await admin.call("PUT", "/services/shop", {"definition": definition}, if_match="*")
    for answer in (created, replaced):
        assert code_of(answer) == (422, "invalid")
        [problem] = answer.json()["problems"]
        assert f"{path}: " in problem["problem"]
        assert "can stand in the configuration file alone" in problem["problem"]
        assert "hunter2" not in answer.text
    assert [row.name for row in await admin.link.store().services.list()] == ["shop"]


async def test_a_secret_that_a_hand_has_stored_is_shown_to_nobody(admin: Admin) -> None:
    section = {"discovery": {"consul": {"service": "x", "token": "hunter2"}}}
    await admin.link.store().services.add("x", section, datetime.now(UTC))
    await admin.link.refresh()
    await admin.instance.reload()
    seen = await admin.call("GET", "/services/x", token=await admin.token_with("viewer"))
    assert seen.json()["state"] == "quarantined"
    assert seen.json()["definition"]["discovery"]["consul"]["token"] == "*" * 10
    mended = await admin.call("PUT", "/services/x", {"definition": WEB}, if_match="*")
    assert mended.json()["state"] == "live"
    audit = await admin.call("GET", "/audit")
    assert '"service.replace"' in audit.text
    for answer in (seen, mended, audit, await admin.call("GET", "/services")):
        assert "hunter2" not in answer.text


async def test_what_others_need_stays(admin: Admin) -> None:
    await admin.made("/services", SHOP)
    await admin.made("/routes", CART)
    answer = await admin.call("DELETE", "/services/shop", if_match="*")
    assert code_of(answer) == (409, "breaks_others")
    assert "route cart" in answer.json()["error"]
    assert (await admin.call("GET", "/services/shop")).status_code == 200


async def test_a_broken_file_is_mended_first(admin: Admin) -> None:
    admin.file.write_text("nonsense: 1")
    answer = await admin.call("POST", "/services", SHOP)
    assert code_of(answer) == (409, "broken_file")
    assert "unknown key 'nonsense'" in answer.text
    admin.file.write_text(TEXT)
    await admin.made("/services", SHOP)


async def test_what_is_not_in_force_yet_is_said_so(admin: Admin) -> None:
    admin.instance.refuses = ["worker 0 could not install the new plan"]
    made = await admin.made("/services", SHOP)
    assert (made["state"], made["problem"]) == ("pending", admin.instance.refuses[0])
    admin.instance.is_silent = True
    other = await admin.made("/services", {"name": "other", "definition": WEB})
    assert (other["state"], other["problem"]) == ("pending", "the workers have not answered yet")
    assert (await admin.call("GET", "/services/other")).json()["state"] == "pending"


async def test_rows_in_quarantine_are_shown(admin: Admin) -> None:
    store = admin.link.store()
    await store.routes.add("bad", {"path": "nowhere"}, datetime.now(UTC))
    await admin.link.refresh()
    await admin.instance.reload()
    row = (await admin.call("GET", "/routes/bad")).json()
    assert (row["state"], row["definition"]) == ("quarantined", {"path": "nowhere"})
    assert "path: must be a path pattern" in row["problem"]
    config = (await admin.call("GET", "/config")).json()
    assert [(row["kind"], row["name"]) for row in config["quarantined"]] == [("route", "bad")]
    assert config["generation"] == admin.instance.publication.generation
    mended = {"definition": {"path": "/good", "service": "web"}}
    answer = await admin.call("PUT", "/routes/bad", mended, if_match="*")
    assert answer.json()["state"] == "live"


async def test_services_tell_where_their_endpoints_come_from(admin: Admin) -> None:
    web = (await admin.call("GET", "/services/web")).json()
    assert web["status"] == {"name": "web", "breaker": None, "endpoints": []}
    found = web["discovery"]
    assert found.pop("age_s") >= 0
    assert found == {"source": "dns A web", "state": "ok", "failures": 2}
    await admin.made("/services", SHOP)
    assert (await admin.call("GET", "/services/shop")).json()["discovery"] is None


async def test_what_does_not_exist(admin: Admin) -> None:
    change = {"definition": WEB}
    for answer in (
        await admin.call("GET", "/services/none"),
        await admin.call("PUT", "/services/none", change, if_match="*"),
        await admin.call("DELETE", "/services/none", if_match="*"),
    ):
        assert code_of(answer) == (404, "not_found")


async def test_names_are_taken_once(admin: Admin) -> None:
    await admin.made("/services", SHOP)
    assert code_of(await admin.call("POST", "/services", SHOP)) == (409, "conflict")


async def test_a_policy_from_creation_to_use(admin: Admin) -> None:
    policy = {"name": "slow", "definition": {"key": "ip", "rate": "10/min", "burst": 5}}
    made = await admin.made("/policies", policy)
    assert (made["state"], made["definition"]) == ("live", policy["definition"])
    await admin.made("/clients", {"name": "app", "rate_limit_policy": "slow"})
    limited = {"path": "/x", "service": "web", "rate_limits": ["slow"]}
    await admin.made("/routes", {"name": "x", "definition": limited})
    assert "slow" in admin.instance.publication.config["rate_limits"]
    gone = await admin.call("DELETE", "/policies/slow", if_match="*")
    assert code_of(gone) == (409, "breaks_others")
    assert "route x" in gone.json()["error"]
    wrong = {"definition": {"key": "ip", "rate": "often"}}
    assert (await admin.call("PUT", "/policies/slow", wrong, if_match="*")).status_code == 422
