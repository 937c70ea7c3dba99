from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import Config, load
from gateway.config.compile import compile_plan
from gateway.config.compile_service import NoLabels
from gateway.config.explain import PATH_ERRORS, Query, explain, upstream_path
from gateway.config.internal import INTERNAL_ROUTES
from gateway.config.plan import Plan
from gateway.config.table import verify

CONFIG = """
services: {a: {endpoints: [http://a]}}
routes:
  - {name: any, path: "/{rest...}", service: a}
  - {name: exact, path: "/x/{id}", host: a.org, service: a, strip_prefix: /x}
  - {name: wild, path: "/x/{id}", host: "*.org", service: a}
  - {name: literal, path: "/x/me", host: "*.org", service: a}
  - {name: first, path: "/x/me", host: "*.org", priority: 1, methods: GET, service: a}
  - {name: post, path: /orders, host: b.org, methods: [POST, PUT], service: a}
  - name: canary
    path: /c
    host: b.org
    headers: {X-C: {prefix: "y"}}
    query: {v: {present: true}}
    service: a
  - {name: twin1, path: "/t/{a}", service: a, query: {v: 1}}
  - {name: twin2, path: "/t/{b}", service: a, query: {w: 1}}
  - {name: twin3, path: "/t/{b}", service: a, query: {v: 1, w: 1}, methods: GET}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    file = tmp_path / "gateway.yaml"
    file.write_text(CONFIG)
    return verify(load(file, {}, {}))


@pytest.mark.parametrize(
    ("method", "host", "path", "query", "winner", "reason"),
    [
        ("GET", "other", "/x", "", "any", "the only route that takes this request"),
        ("GET", "A.org:80", "/x/1", "", "exact", "more specific host than wild"),
        ("GET", "b.org", "/x/1", "", "wild", "more specific host than any"),
        ("POST", "b.org", "/x/me", "", "literal", "more specific path than wild"),
        ("GET", "b.org", "/x/me", "", "first", "higher priority than literal (1, 0)"),
        ("GET", "", "/t/1", "v=1&w=1", "twin3", "more criteria than twin1"),
        ("POST", "", "/t/1", "v=1&w=1", "twin1", "stands before twin2 in the file"),
    ],
)
def test_why_a_route_wins(
    plan: Plan, method: str, host: str, path: str, query: str, winner: str, reason: str
) -> None:
    answer = explain(plan, Query(method, host, path, query))
    assert answer.route is not None
    assert (answer.route.name, answer.reason) == (winner, reason)
    assert answer.status is None
    assert len(answer.verdicts) == len(plan.routes) - len(INTERNAL_ROUTES)
    assert [v.outcome for v in answer.verdicts].count("wins") == 1


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_health_is_no_route(plan: Plan, method: str) -> None:
    answer = explain(plan, Query(method, "a.org", "/x/../health"))
    assert (answer.path, answer.route, answer.status) == ("/health", None, 200)
    others = (
        explain(plan, Query("POST", "", "/health")),
        explain(plan, Query("GET", "", "/health/")),
    )
    assert [other.route and other.route.name for other in others] == ["any", "any"]


def test_what_is_forwarded(plan: Plan) -> None:
    answer = explain(plan, Query("GET", "a.org", "//x/./%61", "q=1"))
    assert answer.path == "/x/a"
    assert answer.upstream_target == "/a?q=1"
    assert answer.params == {"id": "a"}
    assert answer.service is plan.services[0]


def outcomes(plan: Plan, query: Query) -> dict[str, str]:
    return {plan.routes[v.route].name: v.outcome for v in explain(plan, query).verdicts}


def test_why_the_others_do_not(plan: Plan) -> None:
    result = outcomes(plan, Query("GET", "b.org", "/orders"))
    assert result["post"] == "takes POST, PUT, not GET"
    assert result["any"] == "wins"
    assert result["exact"] == "another path"
    assert outcomes(plan, Query("GET", "c.com", "/orders"))["post"] == "is for b.org"
    assert outcomes(plan, Query("GET", "b.org", "/c"))["canary"] == (
        "wants header x-c prefix 'y' of the request"
    )
    found = outcomes(plan, Query("GET", "b.org", "/c", headers=[("X-C", "yes")]))
    assert found["canary"] == "wants query v present of the request"
    found = outcomes(plan, Query("GET", "b.org", "/c", "v", [("X-C", "yes")]))
    assert (found["canary"], found["any"]) == ("wins", "matches too, but is less specific")


def test_refusals(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(CONFIG.replace('  - {name: any, path: "/{rest...}", service: a}\n', ""))
    plan = verify(load(file, {}, {}))
    answer = explain(plan, Query("GET", "b.org", "/orders"))
    assert (answer.status, answer.allow) == (405, ("POST", "PUT"))
    assert answer.reason == "no route on this host and path takes GET"
    answer = explain(plan, Query("GET", "b.org", "/c"))
    assert (answer.status, answer.reason) == (
        404,
        "routes match host and path, but not headers or query",
    )
    answer = explain(plan, Query("GET", "b.org", "/nope"))
    assert (answer.status, answer.reason) == (404, "no route matches host and path")
    assert (answer.route, answer.service) == (None, None)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/../a", "above_root"),
        ("/a\\b", "backslash"),
        ("/%zz", "bad_escape"),
        ("/a b", "control"),
        ("/é", "control"),
        ("/%252e", "double_encoding"),
        ("/a%2fb", "encoded_slash"),
        ("/a#b", "fragment"),
        ("a", "not_absolute"),
        ("/%ff", "not_utf8"),
        ("/%00", "nul"),
    ],
)
def test_refused_paths_say_why(plan: Plan, path: str, code: str) -> None:
    answer = explain(plan, Query("GET", "b.org", path))
    assert answer.status == 400
    assert answer.reason == f"the path is refused: {PATH_ERRORS[code]} ({code})"
    assert answer.verdicts == ()


@pytest.mark.parametrize(
    ("strip", "swap", "path", "upstream"),
    [
        (None, None, "/a/b", "/a/b"),
        ("/a", None, "/a/b", "/b"),
        ("/a", None, "/a", "/"),
        ("/a", None, "/a/", "/"),
        ("/", None, "/a", "/a"),
        (None, ("/a", "/x/y"), "/a/b", "/x/y/b"),
        (None, ("/a", "/x"), "/a", "/x"),
        (None, ("/a", "/"), "/a", "/"),
        (None, ("/", "/x"), "/a", "/x/a"),
        (None, ("/", "/"), "/", "/"),
    ],
)
def test_upstream_paths(
    plan: Plan, strip: str | None, swap: tuple[str, str] | None, path: str, upstream: str
) -> None:
    route = replace(plan.routes[0], strip_prefix=strip, replace_prefix=swap)
    assert upstream_path(route, path) == upstream


@given(st.text(max_size=20), st.text(max_size=10), st.text(max_size=10), st.text(max_size=10))
def test_any_request_gets_an_answer(path: str, method: str, host: str, query: str) -> None:
    config = Config.model_validate(
        {
            "services": {"a": {"endpoints": ["http://a"]}},
            "routes": [{"path": "/{x}", "service": "a"}],
        }
    )
    answer = explain(compile_plan(config, NoLabels(), 0), Query(method, host, path, query))
    assert (answer.route is None) == (answer.status is not None)
