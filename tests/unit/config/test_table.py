from pathlib import Path

import pytest

from gateway.config import ConfigError, load
from gateway.config.table import build_table, verify


def test_a_plan_becomes_the_workers_table(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("services: {a: {endpoints: [http://a]}}\nroutes: [{path: '/{x}', service: a}]")
    plan = verify(load(file, {}, {}))
    assert plan.generation == 0
    assert build_table(plan).match("GET", "", "/y").params == {"x": "y"}


@pytest.mark.parametrize(
    ("refusal", "problem"),
    [
        ("routes[0].hosts: no", "gateway.yaml:2:27: routes[0].host: no"),
        ("routes[0].hosts[0]: no: not so", "gateway.yaml:2:27: routes[0].host: no: not so"),
        ("routes[0]: no", "gateway.yaml:2:10: routes[0]: no"),
        ("something else", "gateway.yaml:2:9: routes: something else"),
    ],
)
def test_what_the_table_refuses_has_a_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: str, problem: str
) -> None:
    def refuse(routes: object, slashes: str) -> None:
        raise ValueError(refusal)

    monkeypatch.chdir(tmp_path)
    Path("gateway.yaml").write_text(
        "services: {a: {endpoints: [http://a]}}\nroutes: [{path: /, host:  [ a.org ], service: a}]"
    )
    monkeypatch.setattr("gateway.config.table.RouteTable", refuse)
    with pytest.raises(ConfigError) as caught:
        verify(load(Path("gateway.yaml"), {}, {}))
    assert str(caught.value) == problem
