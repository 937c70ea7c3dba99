"""Rows of the store beside the file: what is usable serves, the rest is in quarantine."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.config import Config, Loaded, load
from gateway.config import stored as stored_module
from gateway.config.checks import Finding
from gateway.config.stored import Kind, Stored, StoredSection, merge

TEXT = """\
services: { web: { endpoints: [ http://127.0.0.1:9 ] } }
routes:
  - { path: /a, service: web }
  - { path: /named, service: web, name: named }
"""


@pytest.fixture
def file(tmp_path: Path) -> Loaded:
    path = tmp_path / "gateway.yaml"
    path.write_text(TEXT)
    return load(path, environ={})


def row(kind: Kind, name: str, **section: Any) -> StoredSection:
    return StoredSection(kind, name, section)


def service(name: str = "shop") -> StoredSection:
    return row("service", name, endpoints=["http://10.0.0.1:80"])


def problems(file: Loaded, *rows: StoredSection) -> dict[str, str]:
    return {q.name: q.problem for q in merge(file, Stored(rows))[1]}


def test_rows_come_behind_what_the_file_says(file: Loaded) -> None:
    rows = (row("route", "cart", path="/cart", service="shop"), service())
    merged, quarantined = merge(file, Stored(rows))
    assert quarantined == ()
    assert list(merged.config.services) == ["web", "shop"]
    assert [route.title for route in merged.config.routes] == ["/a", "named", "cart"]


def test_nothing_stored_changes_nothing(file: Loaded) -> None:
    assert merge(file, Stored()) == (file, ())


def test_rows_survive_the_disk() -> None:
    stored = Stored((service(), row("route", "x", path="/x", service="shop")))
    assert Stored.from_bytes(stored.to_bytes()) == stored
    for wrong in (b"", b"[1]", b'[{"kind": "route"}]'):
        with pytest.raises((ValueError, TypeError)):
            Stored.from_bytes(wrong)


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"path": "/x", "service": "web", "servce": 1}, "servce: unknown key 'servce'"),
        ({"path": "nowhere", "service": "web"}, "path: must be a path pattern"),
        ({"path": "/x"}, "needs service, or split"),
        ({"path": "/x", "service": "none"}, "service: there is no service 'none'"),
        ({"path": "/a", "service": "web"}, "can never match"),
        ({"path": "/x", "service": "web", "strip_prefix": "/y"}, "strip_prefix: /y is not"),
        ({"path": "/{x...}/b", "service": "web"}, "{x...}"),
        ("text", "must be a mapping"),
        (None, "path: is missing"),
        ([1], "must be a mapping"),
    ],
)
def test_a_bad_route_is_told_from_a_good_one(file: Loaded, section: Any, problem: str) -> None:
    good = row("route", "good", path="/good", service="web")
    bad = StoredSection("route", "bad", section)
    merged, quarantined = merge(file, Stored((bad, good)))
    assert [q.name for q in quarantined] == ["bad"]
    assert problem in quarantined[0].problem
    assert [route.title for route in merged.config.routes] == ["/a", "named", "good"]


def test_a_row_that_could_not_be_read_is_told_of(file: Loaded) -> None:
    unread = StoredSection("service", "shop", None, "is not JSON")
    assert problems(file, unread, service("other")) == {"shop": "is not JSON"}
    assert Stored.from_bytes(Stored((unread,)).to_bytes()) == Stored((unread,))


def test_rows_are_as_flat_as_the_file(file: Loaded) -> None:
    """Deeper ones would end the recursion of whoever writes the configuration out."""
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    shop = row("service", "shop", endpoints=["http://10.0.0.1:80"], fallback={"json": deep})
    assert problems(file, shop, service("other")) == {"shop": "is nested deeper than 32 levels"}
    wide = row("service", "wide", endpoints=["http://10.0.0.1:80"], fallback={"json": [[]] * 99})
    assert problems(file, wide) == {}


def test_routes_of_a_bad_service_go_with_it(file: Loaded) -> None:
    found = problems(
        file,
        row("service", "shop", endpoints=[]),
        row("route", "cart", path="/cart", service="shop"),
        row("route", "fine", path="/fine", service="web"),
    )
    assert found.keys() == {"shop", "cart"}
    assert "needs at least one endpoint" in found["shop"]
    assert "there is no service 'shop'" in found["cart"]


def test_a_name_in_both_is_the_files(file: Loaded) -> None:
    found = problems(file, service("web"), row("route", "named", path="/other", service="web"))
    assert found == {
        "web": "the configuration file has a service of this name, which wins",
        "named": "the configuration file has a route of this name, which wins",
    }


def test_of_two_equal_rows_the_first_serves(file: Loaded) -> None:
    rows = [row("route", name, path="/x", service="web") for name in ("one", "two")]
    assert problems(file, *rows).keys() == {"two"}


def test_names_are_plain(file: Loaded) -> None:
    assert "is not a name" in problems(file, service("a.b"))["a.b"]


def test_rows_that_break_the_file_are_found_one_by_one(
    file: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_many(config: Config, data: Any) -> list[Finding]:
        return [(("routes", 0), "has too many neighbours")] if len(config.routes) > 3 else []

    monkeypatch.setattr(stored_module, "findings", too_many)
    rows = [row("route", name, path=f"/{name}", service="web") for name in ("x", "y", "z")]
    assert problems(file, *rows) == {
        "z": "routes[0]: has too many neighbours",
        "y": "routes[0]: has too many neighbours",
    }


def test_many_bad_rows_at_once(file: Loaded) -> None:
    rows = [row("route", f"r{n}", path=f"/r{n}", service="none") for n in range(200)]
    good = row("route", "good", path="/good", service="web")
    assert len(problems(file, *rows, good)) == 200


def test_what_is_merged_is_as_if_written_in_one_file(file: Loaded) -> None:
    merged, _ = merge(file, Stored((service(),)))
    dumped = orjson.dumps(merged.config.model_dump(mode="json"))
    assert b'"http://10.0.0.1:80"' in dumped
    assert merged.path == file.path


def consul(**settings: Any) -> dict[str, Any]:
    return {"discovery": {"consul": {"service": "web", **settings}}}


def kubernetes(**settings: Any) -> dict[str, Any]:
    return {"discovery": {"kubernetes": {"service": "web", **settings}}}


@pytest.mark.parametrize(
    ("section", "path", "what"),
    [
        (consul(token_file="/etc/shadow"), "discovery.consul.token_file", "the name of a file"),
        (consul(token="x"), "discovery.consul.token", "a secret"),
        (
            kubernetes(token_file="/etc/shadow", api_server="http://evil"),
            "discovery.kubernetes.token_file",
            "the name of a file",
        ),
        (kubernetes(ca_file="/x"), "discovery.kubernetes.ca_file", "the name of a file"),
        ({"endpoints": ["unix:///run/x.sock"]}, "endpoints[0].url", "a Unix socket"),
        ({"endpoints": [{"url": "unix:///run/x.sock"}]}, "endpoints[0].url", "a Unix socket"),
    ],
)
def test_rows_name_nothing_of_the_host_and_hold_no_secret(
    file: Loaded, section: dict[str, Any], path: str, what: str
) -> None:
    found = problems(file, row("service", "bad", **section), service())
    text = f"{path}: {what} can stand in the configuration file alone, not in the store"
    assert found == {"bad": text}


def test_variables_in_rows_are_plain_text(file: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_SECRET", "hunter2")
    fallback = {"body": "${GATEWAY_SECRET}"}
    shop = row("service", "shop", endpoints=["http://10.0.0.1:80"], fallback=fallback)
    merged, quarantined = merge(file, Stored((shop,)))
    assert quarantined == ()
    assert merged.config.services["shop"].fallback.body == "${GATEWAY_SECRET}"  # type: ignore[union-attr]


def test_policies_stand_beside_the_files(file: Loaded) -> None:
    rows = (
        row("route", "x", path="/x", service="web", rate_limits=["slow"]),
        row("policy", "slow", algorithm="token_bucket", rate="60/min", burst=5),
        row("policy", "bad", rate="often"),
    )
    merged, quarantined = merge(file, Stored(rows))
    assert list(merged.config.rate_limits) == ["slow"]
    assert [q.name for q in quarantined] == ["bad"]
    assert [route.title for route in merged.config.routes] == ["/a", "named", "x"]
