from pathlib import Path

import pytest

from gateway.config import load
from gateway.config.dump import dump, leaves, sources
from gateway.config.yaml_writer import write_yaml

CONFIG = """\
server: {limits: {head: 8192}, trusted_proxies: [10.0.0.1]}
services:
  a: {endpoints: [http://a, {url: http://b, weight: 2}], timeouts: {total: 0}, host: a.org}
routes:
  - {path: "/{x}", host: "*.org", service: a, headers: {X: {present: false}}, query: {v: 2}}
  - {path: "/y", service: a, replace_prefix: {from: /y, to: /}, limits: {body: off}, name: y}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = Path("gateway.yaml")
    file.write_text(CONFIG)
    return file


@pytest.mark.parametrize("effective", [False, True])
def test_a_dump_loads_to_the_same_configuration(file: Path, effective: bool) -> None:
    config = load(file, {}, {}).config
    again = Path("again.yaml")
    again.write_text(write_yaml(dump(config, effective)))
    assert load(again, {}, {}).config == config


def test_a_dump_without_defaults_has_only_what_was_set(file: Path) -> None:
    data = dump(load(file, {}, {}).config, effective=False)
    assert data["server"] == {"limits": {"head": "8KiB"}, "trusted_proxies": ["10.0.0.1/32"]}
    assert data["services"]["a"]["timeouts"] == {"total": "off"}


def test_every_effective_value_has_a_source(file: Path) -> None:
    loaded = load(file, {"server.workers": "2"}, {"GATEWAY_SERVER__DRAIN_TIMEOUT": "1s"})
    found = sources(loaded)
    assert set(found) == {path for path, _ in leaves(dump(loaded.config, effective=True))}
    assert found["server", "http"] == "default"
    assert found["server", "workers"] == "--set server.workers"
    assert found["server", "drain_timeout"] == "$GATEWAY_SERVER__DRAIN_TIMEOUT"
    assert found["server", "limits", "head"] == "gateway.yaml:1:25"
    assert found["server", "limits", "body"] == "default"
    endpoints = ("services", "a", "endpoints")
    assert found[*endpoints, 0, "url"] == "gateway.yaml:3:19"
    assert found[*endpoints, 0, "weight"] == "default"
    assert found[*endpoints, 1, "weight"] == "gateway.yaml:3:53"
    assert found["routes", 0, "host", 0] == "gateway.yaml:5:26"
    assert found["routes", 0, "query", "v", "exact"] == "gateway.yaml:5:90"
