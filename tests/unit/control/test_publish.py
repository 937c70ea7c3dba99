"""From a file to a Publication."""

from pathlib import Path

import orjson
import pytest

from gateway.config import ConfigError
from gateway.config.stored import Stored, StoredSection
from gateway.control.publication import Publication
from gateway.control.publish import ConfigSource, publish
from tests.servers.plans import Lengths

TEXT = """\
server: { workers: 2, drain_timeout: 7s }
services: { web: { endpoints: [ http://127.0.0.1:9 ] } }
routes: [ { path: /a, service: web } ]
"""


@pytest.fixture
def source(tmp_path: Path) -> ConfigSource:
    path = tmp_path / "gateway.yaml"
    path.write_text(TEXT)
    return ConfigSource(path)


def test_a_publication_survives_the_channel(source: ConfigSource) -> None:
    made = publish(source.load(), labels=Lengths(), generation=4)
    assert made.generation == 4
    assert made.drain_timeout_s == 7
    assert orjson.loads(made.plan)["routes"][0]["label"] == 2, "as interned"
    assert Publication.from_message(orjson.loads(orjson.dumps(made.to_message()))) == made


def test_overrides_win_at_each_load(source: ConfigSource) -> None:
    override = ConfigSource(source.path, {"server.drain_timeout": "9s"})
    assert publish(override.load(), Lengths(), 1).drain_timeout_s == 9


def test_settings_of_sockets_and_processes_stay_as_started(source: ConfigSource) -> None:
    assert source.path is not None
    started_with = source.load().config
    source.path.write_text(TEXT.replace("workers: 2", "workers: 3, http: 127.0.0.1:1"))
    made = publish(source.load(), Lengths(), 2, started_with)
    assert made.needs_restart == ("server.http", "server.workers")
    assert orjson.loads(made.plan)["server"]["workers"] == 2
    assert made.config["server"]["workers"] == 2


def test_limits_that_need_redis_wait_for_the_restart_that_brings_it(source: ConfigSource) -> None:
    assert source.path is not None
    started_with = source.load().config
    limits = "rate_limits: { all: { rate: 5/s, mode: exact, on_failure: deny } }\n"
    source.path.write_text(TEXT + "state: { url: 'redis://127.0.0.1:1' }\n" + limits)
    made = publish(source.load(), Lengths(), 2, started_with)
    assert made.needs_restart == ("state",)
    assert orjson.loads(made.plan)["rate_limits"][0]["mode"] == "memory"
    assert (
        orjson.loads(publish(source.load(), Lengths(), 2).plan)["rate_limits"][0]["mode"] == "exact"
    )


def test_the_store_stays_as_started(source: ConfigSource) -> None:
    assert source.path is not None
    started_with = source.load().config
    source.path.write_text(TEXT + "store: { url: 'postgresql://u:hunter2@db/x' }")
    made = publish(source.load(), Lengths(), 2, started_with)
    assert made.needs_restart == ("store.url",)
    assert made.config["store"]["url"] == "sqlite:///gateway.db"


def test_rows_of_the_store_are_published(source: ConfigSource) -> None:
    rows = (
        StoredSection("route", "good", {"path": "/good", "service": "web"}),
        StoredSection("route", "bad", {"path": "/bad", "service": "none"}),
    )
    made = publish(source.load(), Lengths(), 2, stored=Stored(rows))
    assert [route["path"] for route in orjson.loads(made.plan)["routes"]][:2] == ["/a", "/good"]
    assert [row.name for row in made.quarantined] == ["bad"]
    assert Publication.from_message(orjson.loads(orjson.dumps(made.to_message()))) == made


def test_what_only_the_route_table_can_refuse_is_refused_at_load(source: ConfigSource) -> None:
    assert source.path is not None
    source.path.write_text(TEXT.replace("/a,", '"/{x...}/b",'))
    with pytest.raises(ConfigError):
        source.load()
