"""The admin API's operations on the shares of splits."""

from typing import Any

import pytest

from tests.unit.control.admin.conftest import TEXT, Admin, code_of

SPLIT = """\
  - path: /s
    name: release
    service: web
    split: [ { service: web, weight: 80 }, { service: v2, weight: 20 }, { service: v3 } ]
    canary: { service: v2 }
  - { path: /u, service: web, split: [ { service: web, weight: 1 } ] }
"""
SERVICES = "services: { web: { endpoints: [ http://127.0.0.1:9 ] }"


@pytest.fixture
def split(admin: Admin) -> Admin:
    more = "".join(f", {name}: {{ endpoints: [ http://127.0.0.1:9 ] }}" for name in ("v2", "v3"))
    admin.file.write_text(TEXT.replace(SERVICES, SERVICES + more) + SPLIT)
    admin.instance.publication = admin.instance.published()
    for number, part in enumerate(admin.instance.publication.splits[0]["split"], 1):
        part["place"] = number
    return admin


def shares(view: dict[str, Any]) -> list[float]:
    return [part["share"] for part in view["parts"]]


async def patch(admin: Admin, *, if_match: str = "*", **wanted: float | None) -> Any:
    return await admin.call("PATCH", "/splits/release", {"shares": wanted}, if_match=if_match)


async def test_shares_as_configured(split: Admin) -> None:
    items = (await split.call("GET", "/splits")).json()["items"]
    assert [item["name"] for item in items] == ["release", "/u"]
    view = (await split.call("GET", "/splits/release")).json()
    assert view == items[0]
    assert shares(view) == [0.8, 0.2, 0]
    assert (view["canary"], view["path"]) == ("v2", "/s")
    assert not any(part["is_set"] for part in view["parts"])


async def test_a_share_is_set_at_once_and_taken_back(split: Admin) -> None:
    seen = await split.call("GET", "/splits/release")
    etag = seen.headers["etag"]
    changed = await patch(split, v2=0.5, if_match=etag)
    assert changed.status_code == 200, changed.text
    assert shares(changed.json()) == [0.5, 0.5, 0]
    assert [part["is_set"] for part in changed.json()["parts"]] == [False, True, False]
    assert split.instance.segment.share(2) == 500
    assert split.decided == [2], "its watch is told"
    assert code_of(await patch(split, v2=0.6, if_match=etag)) == (412, "version_mismatch")
    both = await patch(split, v3=0.1)
    assert shares(both.json()) == [0.4, 0.5, 0.1]
    back = await patch(split, v2=None, v3=None)
    assert shares(back.json()) == [0.8, 0.2, 0]
    assert back.headers["etag"] == etag, "the ETag is that of what is to be seen"
    assert await split.actions() == [("split.change", "release")] * 3


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ({"v9": 0.5}, "must be one of the parts: web, v2, v3, once"),
        ({"v2": 0.7, "web": 0.4}, "make 1.1 together, more than 1"),
        ({"v2": 0.5, "web": 0.4}, "make 0.9 together; who gets the rest?"),
        ({"v2": 1.5}, "less than or equal to 1"),
        ({}, "at least 1 item"),
    ],
)
async def test_shares_that_make_no_sense(split: Admin, wanted: Any, problem: str) -> None:
    answer = await patch(split, **wanted)
    assert code_of(answer) == (422, "invalid")
    assert problem in answer.json()["problems"][0]["problem"]
    assert split.decided == []


async def test_who_may(split: Admin) -> None:
    viewer = await split.token_with("viewer")
    body = {"shares": {"v2": 0.5}}
    refused = await split.call("PATCH", "/splits/release", body, viewer, if_match="*")
    assert code_of(refused) == (403, "forbidden")
    assert code_of(await split.call("PATCH", "/splits/release", body)) == (428, "version_required")
    assert code_of(await split.call("GET", "/splits/b")) == (404, "not_found")
