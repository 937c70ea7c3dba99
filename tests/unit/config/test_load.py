from importlib import import_module
from pathlib import Path

import pytest

from gateway.config import ConfigError, load
from gateway.config.document import MAX_BYTES
from gateway.config.load import find_file
from gateway.config.problems import Place

load_module = import_module("gateway.config.load")  # the package's attribute is the function


def test_the_file_is_the_first_of_flag_variable_and_default_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(load_module, "DEFAULT_PATHS", (Path("gateway.yaml"), Path("b.yaml")))
    environ = {"GATEWAY_CONFIG": "variable.yaml"}
    assert find_file(Path("flag.yaml"), environ) == Path("flag.yaml")
    assert find_file(None, environ) == Path("variable.yaml")
    assert find_file(None, {"GATEWAY_CONFIG": ""}) is None
    Path("b.yaml").touch()
    assert find_file(None, {}) == Path("b.yaml")
    Path("gateway.yaml").touch()
    assert find_file(None, {}) == Path("gateway.yaml")


def test_without_a_file_the_defaults_are_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "DEFAULT_PATHS", ())
    loaded = load(None, {"server.workers": "3"}, {})
    assert loaded.path is None
    assert loaded.config.server.workers == 3
    assert loaded.sources[("server", "workers")] == Place("--set server.workers")
    assert loaded.place_of(("routes",)) == Place("default")
    with pytest.raises(ConfigError, match=r"^--set server: server: must be a mapping"):
        load(None, {"server": "3"}, {})


def test_the_processes_own_environment_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("server: {workers: 1}")
    monkeypatch.setenv("GATEWAY_SERVER__WORKERS", "2")
    assert load(file).config.server.workers == 2
    assert load(file, {}, {}).config.server.workers == 1


def test_sources(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("server:\n  workers: 1\n  trusted_proxies: [10.0.0.0/8]\nservices: {}\n")
    loaded = load(file, {}, {"GATEWAY_SERVER__WORKERS": "2"})
    assert loaded.sources == {
        ("server",): Place(str(file), 2, 3),
        ("server", "workers"): Place("$GATEWAY_SERVER__WORKERS"),
        ("server", "trusted_proxies"): Place(str(file), 3, 20),
        ("server", "trusted_proxies", 0): Place(str(file), 3, 21),
        ("services",): Place(str(file), 4, 11),
    }


@pytest.mark.parametrize("name", ["gateway", "gateway.conf", "gateway.yaml.bak"])
def test_the_suffix_names_the_format(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.touch()
    with pytest.raises(ConfigError, match=r"name it \.yaml, \.toml or \.json"):
        load(file, {}, {})


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json", ".toml", ".YAML"])
def test_an_empty_file_is_the_defaults(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"gateway{suffix}"
    file.write_bytes(b"\xef\xbb\xbf")
    assert load(file, {}, {}).config.routes == ()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nope\.yaml: cannot be read: No such file"):
        load(tmp_path / "nope.yaml", {}, {})
    directory = tmp_path / "gateway.yaml"
    directory.mkdir()
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(directory, {}, {})
    with pytest.raises(ConfigError, match=r"cannot be read: .*null"):
        load(Path("a\0.yaml"), {}, {})


def test_files_have_a_limit(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_bytes(b"#" * MAX_BYTES)
    load(file, {}, {})
    file.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="is larger than 4 MiB"):
        load(file, {}, {})


def test_bytes_that_are_not_utf8_have_a_place(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_bytes(b"server:\n  http: \xff\n")
    with pytest.raises(ConfigError, match=r"gateway\.yaml:2:9: is not UTF-8: the byte 0xff"):
        load(file, {}, {})


def test_bytes_in_the_environment_that_are_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("server: {log: {access: '${LOG}'}}")
    with pytest.raises(ConfigError) as caught:
        load(file, {"server.log.level": "\udcff"}, {"LOG": "/\udcff"})
    assert [problem.path for problem in caught.value.problems] == [
        "server.log.level",
        "server.log.access",
    ]
    str(caught.value).encode()


def test_problems_are_unique_and_in_the_order_of_places(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("b: 1\na: 1\n")
    with pytest.raises(ConfigError) as caught:
        load(file, {}, {})
    assert [problem.line for problem in caught.value.problems] == [1, 2]
    first = caught.value.problems[0]
    assert (first.file, first.line, first.column, first.path) == (str(file), 1, 1, "b")
    assert ConfigError([first, first]).problems == [first]


def test_problems_fit_on_one_line_of_a_terminal(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text('"a\\e[31m\\nb": 1\n')
    with pytest.raises(ConfigError) as caught:
        load(file, {}, {})
    assert str(caught.value).isprintable()


def test_the_configuration_cannot_be_changed(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("services: {a: {endpoints: [http://a]}}")
    config = load(file, {}, {}).config
    with pytest.raises(ValueError, match="frozen"):
        config.server.workers = 3  # type: ignore[misc]
