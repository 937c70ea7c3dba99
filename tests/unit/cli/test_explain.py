from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from gateway.config.stored import Stored, StoredSection
from gateway.control import snapshot

Run = Callable[..., Result]


def test_a_route_takes_it(gateway: Run) -> None:
    result = gateway("explain", "GET", "http://x.org:8000/a//b?q=1", "-H", "X-A: b")
    assert result.exit_code == 0
    assert (
        result.output
        == """\
GET http://x.org:8000/a//b?q=1
  host       x.org:8000
  path       /a/b  (canonical form of /a//b)
  route      /a/{rest...}: the only route that takes this request
             {rest} = b
  auth       required, by jwt or api_key
  limits     body 10MiB
  service    a, weighted_round_robin
             http://a  weight 3 (75 %)
             unix:///run/a.sock  weight 1 (25 %)
             timeouts: connect 1s, response 15s, idle 1m, total off
  forwards   GET /b?q=1
             Host: a.internal

Routes, best first:
  /a/{rest...}: wins
  post (/post): another path
"""
    )


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["GET", "/nope"], "404: no route matches host and path"),
        (
            ["GET", "/post"],
            "405: no route on this host and path takes GET\n             Allow: POST",
        ),
        (
            ["GET", "/a/%2e%2e/%2e%2e"],
            "400: the path is refused: a .. leads above the root (above_root)",
        ),
        (["GET", "a"], "400: the path is refused: it does not begin with / (not_absolute)"),
    ],
)
def test_refusals_are_shown_as_what_they_are(
    gateway: Run, arguments: list[str], answer: str
) -> None:
    result = gateway("explain", *arguments)
    assert result.exit_code == 1
    assert f"  answer     {answer}\n" in result.output


def test_the_host_comes_from_the_url_or_the_header(gateway: Run) -> None:
    assert "host       x.org\n" in gateway("explain", "GET", "http://x.org").output
    assert "path       /\n" in gateway("explain", "GET", "http://x.org").output
    assert (
        "host       y.org\n"
        in gateway("explain", "GET", "http://x.org/", "-H", "host:y.org").output
    )
    assert "host       (none)\n" in gateway("explain", "GET", "/").output


@pytest.mark.parametrize(
    "arguments", [["http:///a"], ["/a/b", "-H", "Host:"], ["http://x.org/a/b", "-H", "Host: "]]
)
def test_an_empty_host_is_told_from_none(gateway: Run, arguments: list[str]) -> None:
    done = gateway("explain", "GET", *arguments)
    assert done.exit_code == 2
    assert "the gateway refuses that with 400 bad_host" in " ".join(done.stderr.split())


def test_without_a_host_the_endpoint_sees_its_own(gateway: Run) -> None:
    Path("b.yaml").write_text(
        "services: {b: {endpoints: [http://b]}}\nroutes: [{path: /b, service: b}]"
    )
    assert gateway("explain", "GET", "/b", "-c", "b.yaml").output.count("Host: (of the endpoint)")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_gateway_answers_health_itself(gateway: Run, method: str) -> None:
    done = gateway("explain", method, "http://x.org/a/../health")
    assert done.exit_code == 0
    assert "answer     200: answered by the gateway itself, before any route\n" in done.output
    assert "404: no route" in gateway("explain", "POST", "/health").output


def test_what_is_stored_counts(gateway: Run, tmp_path: Path) -> None:
    stored = Stored(
        (
            StoredSection("service", "s", {"endpoints": ["http://s"]}),
            StoredSection("route", "kept", {"path": "/kept", "service": "s"}),
            StoredSection("route", "bad", {"path": "/bad", "service": "none"}),
        )
    )
    snapshot.write(tmp_path, "sqlite:///gateway.db", stored)
    done = gateway("explain", "GET", "/kept", "--set", f"server.run_dir={tmp_path}")
    assert done.exit_code == 0, done.output
    assert "  route      kept: the only route" in done.stdout
    assert done.stderr.startswith("the stored route bad is not in force: service: there is no")
    other = gateway("explain", "GET", "/kept")
    assert "404: no route" in other.output


def test_many_other_routes_are_summed_up(gateway: Run) -> None:
    routes = "".join(f"  - {{path: /r{n}, service: a}}\n" for n in range(30))
    Path("many.yaml").write_text(f"services: {{a: {{endpoints: [http://a]}}}}\nroutes:\n{routes}")
    short = gateway("explain", "GET", "/r7", "-c", "many.yaml").output
    assert short.endswith("  … and 9 more on another path; list them with --all\n")
    assert short.count("another path\n") == 20
    assert (
        gateway("explain", "GET", "/r7", "-c", "many.yaml", "--all").output.count("another path\n")
        == 29
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["GET"],
        ["GET", "ftp://x/"],
        ["GET", "/", "-H", "X"],
        ["GET", "/", "-H", ": x"],
        ["GET", "/", "--set", "a"],
    ],
)
def test_usage_errors(gateway: Run, arguments: list[str]) -> None:
    assert gateway("explain", *arguments).exit_code == 2


def test_a_broken_configuration(gateway: Run) -> None:
    result = gateway("explain", "GET", "/", "--set", "server.workers=0", "--set", "server.x=1")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 2
    Path("bad.yaml").write_text(
        "services: {a: {endpoints: [http://a]}}\nroutes: [{path: /a%2Fb, service: a}]"
    )
    result = gateway("explain", "GET", "/", "-c", "bad.yaml")
    assert result.exit_code == 1
    assert result.stderr.startswith("bad.yaml:2:17: routes[0].path")


def test_discovered_endpoints_are_named_by_their_source(gateway: Run, tmp_path: Path) -> None:
    file = tmp_path / "discovered.yaml"
    file.write_text(
        "services: { a: { discovery: { kubernetes: { namespace: prod, service: a } } } }\n"
        "routes: [ { path: /a, service: a } ]\n"
    )
    result = gateway("explain", "GET", "/a", "-c", str(file))
    assert result.exit_code == 0
    assert (
        "service    a, weighted_round_robin\n             endpoints are discovered: "
        "kubernetes prod/a\n" in result.output
    )


EXPLAINED = Path(__file__).with_name("explained.yaml").read_text()


def test_everything_that_would_apply_is_shown(gateway: Run) -> None:
    Path("full.yaml").write_text(EXPLAINED)
    result = gateway("explain", "GET", "http://x.org/shop/1", "-c", "full.yaml")
    assert result.exit_code == 0, result.output
    shown = result.output.partition("{rest} = 1\n")[2].partition("\n\n")[0]
    assert f"{shown}\n" == Path(__file__).with_name("explained.txt").read_text()
