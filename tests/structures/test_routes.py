"""The route table: the Rust structure against its readable model, and its documented rules."""

from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from gateway._core import RouteTable
from tests.structures.models import routes as model

SEGMENTS = st.sampled_from(["a", "b", "ab", "abc", "{}"])


@st.composite
def patterns(draw: st.DrawFn) -> str:
    segments = draw(st.lists(SEGMENTS, max_size=4))
    numbered = [segment.replace("{}", f"{{p{at}}}") for at, segment in enumerate(segments)]
    tail = draw(st.sampled_from(["", "/", "/{rest...}"]))
    return "".join(f"/{segment}" for segment in numbered) + tail or "/"


def predicates(names: list[str]) -> st.SearchStrategy[list[dict[str, str]]]:
    predicate = st.fixed_dictionaries(
        {
            "name": st.sampled_from(names),
            "op": st.sampled_from(["exact", "prefix", "present", "absent"]),
            "value": st.sampled_from(["", "1", "12", "é"]),
        }
    )
    return st.lists(predicate, max_size=2)


ROUTES = st.fixed_dictionaries(
    {
        "path": patterns(),
        "hosts": st.lists(
            st.sampled_from(["a.org", "b.a.org", "*.org", "*.a.org", "*.B.a.org"]),
            max_size=2,
        ),
        "methods": st.lists(st.sampled_from(["GET", "HEAD", "POST", "BREW"]), max_size=2),
        "headers": predicates(["X-A", "x-b"]),
        "query": predicates(["v", "w x"]),
        "priority": st.integers(-1, 1),
    }
)
PATHS = st.lists(st.sampled_from(["a", "b", "ab", "abc", "c"]), max_size=5).flatmap(
    lambda segments: st.sampled_from(["", "/"]).map(
        lambda tail: "".join(f"/{segment}" for segment in segments) + tail or "/"
    )
)
REQUESTS = st.tuples(
    st.sampled_from(["GET", "HEAD", "POST", "BREW", "DELETE", "get"]),
    st.sampled_from(["a.org", "A.ORG:80", "b.a.org.", "c.b.a.org", "org", "", "x.org", ".a.org"]),
    PATHS,
    st.sampled_from(["", "v=1", "v", "%76=12&w%20x=%c3%a9", "v=%zz&v=1", "w+x=1", "&=&v==1"]),
    st.lists(
        st.tuples(
            st.sampled_from(["x-a", "X-B", "x-c"]),
            st.sampled_from(["", "1", "12", "é"]),
        ),
        max_size=3,
    ),
)


@settings(max_examples=600)
@given(st.lists(ROUTES, min_size=1, max_size=16), REQUESTS)
def test_match_and_explain_agree_with_the_model(
    routes: list[dict[str, Any]],
    request: tuple[str, str, str, str, list[tuple[str, str]]],
) -> None:
    table, oracle = RouteTable(routes), model.RouteTable(routes)
    found = table.match(*request)
    assert (found.route, found.params, found.allow) == oracle.match(*request)
    explained = [(candidate.route, candidate.verdict) for candidate in table.explain(*request)]
    assert explained == oracle.explain(*request)
    event("found" if found.route is not None else "405" if found.allow else "404")


def test_the_documented_order() -> None:
    """Each route beats all that follow it, whatever their order in the file."""
    best_first: list[dict[str, Any]] = [
        {"path": "/{rest...}", "priority": 1},
        {"path": "/{rest...}", "hosts": ["a.b.org"]},
        {"path": "/{rest...}", "hosts": ["*.b.org"]},
        {"path": "/{rest...}", "hosts": ["*.org"]},
        {"path": "/a/b", "methods": ["GET"], "query": [{"name": "v", "op": "present"}]},
        {"path": "/a/b", "methods": ["GET"]},
        {"path": "/a/b"},
        {"path": "/a/{x}"},
        {"path": "/a/{rest...}"},
        {"path": "/{x}/b"},
        {"path": "/{rest...}"},
    ]
    backwards = best_first[::-1]
    explained = RouteTable(backwards).explain("GET", "a.b.org", "/a/b", "v=1")
    assert [backwards[candidate.route] for candidate in explained] == best_first
    assert [candidate.verdict for candidate in explained] == ["wins"] + ["shadowed"] * 10


def test_equal_routes_are_decided_by_their_place_in_the_file() -> None:
    assert RouteTable([{"path": "/{x}"}, {"path": "/{y}"}]).match("GET", "", "/a").route == 0


def test_a_wrong_method_names_the_methods_of_all_routes_on_the_path() -> None:
    table = RouteTable(
        [
            {"path": "/a", "methods": ["GET"]},
            {"path": "/{x}", "methods": ["POST", "PUT"]},
            {"path": "/a", "methods": ["DELETE"], "hosts": ["other.org"]},
            {
                "path": "/a",
                "methods": ["PATCH"],
                "headers": [{"name": "x", "op": "present"}],
            },
        ]
    )
    found = table.match("OPTIONS", "a.org", "/a")
    assert found.route is None
    assert found.allow == ["GET", "HEAD", "PATCH", "POST", "PUT"]
    assert table.match("HEAD", "a.org", "/a").route == 0
    assert table.match("PATCH", "a.org", "/a").allow == ["GET", "HEAD", "POST", "PUT"]
    assert table.match("OPTIONS", "a.org", "/b/c").allow == []


def test_parameters_keep_the_spelling_of_the_path() -> None:
    table = RouteTable([{"path": "/users/{user}/files/{path...}"}])
    found = table.match("GET", "", "/users/J%C3%B6rg/files/a/b/")
    assert found.params == {"user": "J%C3%B6rg", "path": "a/b/"}
    assert repr(found) == (
        '<Match [route: Some(0), params: {"path": "a/b/", "user": "J%C3%B6rg"}, allow: []]>'
    )


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"path": "a"}, r"routes\[1\]\.path: 'a' does not begin with '/'"),
    ({"path": "/{a}/{a}"}, r"routes\[1\]\.path: the parameter 'a' occurs twice"),
    (
        {"path": "/{a...}/b"},
        r"routes\[1\]\.path: '\{a\.\.\.\}' must be the last segment",
    ),
    (
        {"path": "/a/../b"},
        r"routes\[1\]\.path: '\.\.' cannot be part of a path: above_root",
    ),
    ({}, r"routes\[1\]\.path: is missing; add it"),
    ({"path": 3}, r"routes\[1\]\.path: .*'int'"),
    ({"path": "/", "hosts": ["a.org:80"]}, r"routes\[1\]\.hosts\[0\]: .*remove it"),
    ({"path": "/", "hosts": ["a.*"]}, r"routes\[1\]\.hosts\[0\]: .*\*\.example\.org"),
    (
        {"path": "/", "methods": ["G T"]},
        r"routes\[1\]\.methods\[0\]: 'G T' is not a method",
    ),
    (
        {"path": "/", "headers": [{"name": "x", "op": "like"}]},
        r"routes\[1\]\.headers\[0\]\.op: 'like' is unknown; write exact, prefix, present or absent",
    ),
    (
        {"path": "/", "headers": [{"name": "x y", "op": "present"}]},
        r"routes\[1\]\.headers\[0\]\.name: 'x y' is not a header name",
    ),
    (
        {"path": "/", "query": [{"op": "present"}]},
        r"routes\[1\]\.query\[0\]\.name: is missing",
    ),
]


@pytest.mark.parametrize(("route", "message"), MISTAKES)
def test_a_mistake_is_named_with_its_place(route: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RouteTable([{"path": "/"}, route])


def test_ten_thousand_hosts_have_the_same_verdict_in_any_case() -> None:
    """hardening: divergence with many hosts (Caddy CVE-2026-27587)."""
    routes = [{"path": "/{rest...}", "hosts": [f"h{n}.Example.org"]} for n in range(10_000)]
    table = RouteTable(routes)
    for host in ("h7777.example.org", "H7777.EXAMPLE.ORG", "h7777.example.org.:443"):
        assert table.match("GET", host, "/x").route == 7777
