from typing import Any

import pytest

from gateway.config.diff import changes
from gateway.config.schema import Config


def config(**change: Any) -> Config:
    data: dict[str, Any] = {
        "services": {
            "a": {"endpoints": ["http://a", "http://b"]},
            "b": {"endpoints": ["http://c"]},
        },
        "routes": [
            {"path": "/a", "service": "a"},
            {
                "path": "/b",
                "service": "b",
                "methods": "GET",
                "host": "x.org",
                "query": {"v": 1},
                "priority": 1,
            },
            {"name": "n", "path": "/c", "service": "a"},
        ],
    }
    return Config.model_validate(data | change)


def lines(old: Config, new: Config) -> list[str]:
    return [str(change) for change in changes(old, new)]


def test_the_same_meaning_is_no_difference() -> None:
    same = config(server={"limits": {"head": 16384, "idle_timeout": "75000ms"}, "workers": "auto"})
    assert lines(config(), same) == []


def test_values() -> None:
    new = config(server={"workers": 2, "trusted_proxies": ["10.0.0.1"], "drain_timeout": "1m"})
    assert lines(config(), new) == [
        "~ server.workers: auto → 2",
        "~ server.trusted_proxies: [] → [10.0.0.1/32]",
        "~ server.drain_timeout: 30s → 1m",
    ]


def test_services_and_endpoints() -> None:
    services = {
        "a": {"endpoints": ["http://b", {"url": "http://d", "weight": 2}], "host": "h"},
        "c": {"endpoints": ["http://e"]},
    }
    assert lines(config(routes=[]), config(services=services, routes=[])) == [
        "- services.a.endpoints[http://a].weight: 1",
        "- services.b: {endpoints: [http://c]}",
        "+ services.a.endpoints[http://d].weight: 2",
        "+ services.a.host: h",
        "+ services.c: {endpoints: [http://e]}",
    ]


def test_discovery_takes_the_place_of_endpoints() -> None:
    found = config(services={"a": {"discovery": {"dns": {"name": "x", "port": 80}}}}, routes=[])
    assert "- services.a.endpoints[http://a].weight: 1" in lines(config(), found)
    assert "+ services.a.discovery.dns.name: x" in lines(config(), found)
    new = "+ services.a: {discovery: {dns: {name: x, type: A, port: 80, min_ttl: 5s}}}"
    assert lines(config(services={}, routes=[]), found) == [new]
    other = config(services={"a": {"discovery": {"dns": {"name": "y", "port": 80}}}}, routes=[])
    assert lines(found, other) == ["~ services.a.discovery.dns.name: x → y"]


def test_routes_are_known_by_name_or_criteria() -> None:
    routes = [
        {"name": "n", "path": "/c2", "service": "a"},
        {"path": "/a", "service": "b"},
        {"path": "/d", "service": "a"},
    ]
    assert lines(config(), config(routes=routes)) == [
        "~ routes[/a].service: a → b",
        "~ routes[n].path: /c → /c2",
        "- routes[GET x.org /b query {v: {exact: 1}} priority 1]: {path: /b, service: b}",
        "+ routes[/d]: {path: /d, service: a}",
        "~ order of routes: [routes[/a], routes[n]] → [routes[n], routes[/a]]",
    ]


@pytest.mark.parametrize("key", ["strip_prefix", "limits", "headers"])
def test_a_change_of_any_key_shows(key: str) -> None:
    value: Any = {"strip_prefix": "/a", "limits": {"body": "1KiB"}, "headers": {"X": "y"}}[key]
    route = {"name": "n", "path": "/a", "service": "a"}
    old, new = config(routes=[route]), config(routes=[route | {key: value}])
    assert len(lines(old, new)) >= 1
    assert all(f"routes[n].{key}" in line for line in lines(old, new))


def split(*weights: int) -> Config:
    parts = [
        {"service": name, "weight": weight} for name, weight in zip("ab", weights, strict=True)
    ]
    return config(routes=[{"path": "/x", "split": parts}])


def test_splits() -> None:
    assert lines(config(routes=[]), split(9, 1)) == ["+ routes[/x]: {path: /x, split: [a 9, b 1]}"]
    assert lines(split(9, 1), split(8, 2)) == [
        "~ routes[/x].split: [{service: a, weight: 9}, {service: b, weight: 1}] → "
        "[{service: a, weight: 8}, {service: b, weight: 2}]"
    ]
    alone = config(routes=[{"path": "/x", "service": "a"}])
    assert "+ routes[/x].service: a" in lines(split(9, 1), alone)


def test_rate_limits() -> None:
    old, new = ({"rate_limits": {"p": {"rate": f"{rate}/s"}}} for rate in (1, 2))
    assert "~ rate_limits.p.rate: 1/s → 2/s" in lines(config(**old), config(**new))
    assert "+ rate_limits.p.rate: 2/s" in lines(config(), config(**new))


def test_all_of_an_endpoint() -> None:
    services = {"b": {"endpoints": [{"url": "http://c", "zone": "z", "priority": 1}]}}
    found = lines(config(routes=[]), config(routes=[], services=services))
    assert "+ services.b.endpoints[http://c].priority: 1" in found
    assert "+ services.b.endpoints[http://c].zone: z" in found
