"""The admin API's operations on the shares of splits."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.administration.desk import Desk
from gateway.control.admin.splits import _permille
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


async def test_shares_are_rounded_together(split: Admin) -> None:
    third = 1 / 3
    thirds = await patch(split, web=third, v2=third, v3=third)
    assert thirds.status_code == 200, thirds.text
    assert shares(thirds.json()) == [0.334, 0.333, 0.333]
    back = await patch(split, web=None, v3=2 * third)
    assert shares(back.json()) == [0, 0.333, 0.667]
    none = await patch(split, web=0, v2=0.57, v3=0.43)
    assert shares(none.json()) == [0, 0.57, 0.43]


@given(st.lists(st.integers(0, 20), min_size=1, max_size=8).filter(any))
def test_parts_of_a_whole_make_a_thousand(weights: list[int]) -> None:
    wanted = {str(n): weight / sum(weights) for n, weight in enumerate(weights)}
    rounded = _permille(wanted)
    assert sum(rounded.values()) == 1000
    assert all(abs(rounded[name] - share * 1000) < 1 for name, share in wanted.items())


async def test_what_comes_between_is_not_overwritten(
    split: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    etag = (await split.call("GET", "/splits/release")).headers["etag"]
    record = Desk.record

    async def a_watch_comes_between(desk: Desk, *entry: Any, **more: Any) -> None:
        await record(desk, *entry, **more)
        split.instance.segment.set_share(2, 0)

    with monkeypatch.context() as patched:
        patched.setattr(Desk, "record", a_watch_comes_between)
        late = await patch(split, v2=0.5, if_match=etag)
    assert code_of(late) == (412, "version_mismatch")
    assert split.instance.segment.share(2) == 0
    assert await split.actions() == [], "nothing was done"


async def test_of_two_changes_at_once_one_is_refused(split: Admin) -> None:
    etag = (await split.call("GET", "/splits/release")).headers["etag"]
    answers = await asyncio.gather(
        patch(split, v2=0.5, if_match=etag), patch(split, v2=0.6, if_match=etag)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    assert await split.actions() == [("split.change", "release")]


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ({"v9": 0.5}, "is no part of this split; its parts are web, v2, v3"),
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


async def test_a_name_that_two_parts_have(split: Admin) -> None:
    twice = "{ service: web, weight: 1 }, { service: web, when: { header: { X-A: b } } }"
    route = f"  - {{ path: /t, name: release, split: [ {twice} ] }}\n"
    split.file.write_text(TEXT + route)
    split.instance.publication = split.instance.published()
    answer = await patch(split, web=0.5)
    assert code_of(answer) == (422, "invalid")
    problem = answer.json()["problems"][0]["problem"]
    assert problem == "is several parts of this split; which is meant?"


async def test_who_may(split: Admin) -> None:
    viewer = await split.token_with("viewer")
    body = {"shares": {"v2": 0.5}}
    refused = await split.call("PATCH", "/splits/release", body, viewer, if_match="*")
    assert code_of(refused) == (403, "forbidden")
    assert code_of(await split.call("PATCH", "/splits/release", body)) == (428, "version_required")
    assert code_of(await split.call("GET", "/splits/b")) == (404, "not_found")
