"""The link to the store: it follows changes and outlasts outages."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.config import load
from gateway.config.stored import merge
from gateway.control import snapshot, store_link
from gateway.control.store_link import StoreLink
from gateway.store.changes import StoreVersion
from gateway.store.errors import StoreUnavailable
from gateway.store.store import Store

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROUTE = {"path": "/a", "service": "web"}


class Link:
    def __init__(self, directory: Path, url: str) -> None:
        self.changes = 0
        self.tokens: list[str] = []
        self.versions: list[StoreVersion] = []
        self.link = StoreLink(url, directory, self.changed, self.tokens.append)
        self.link.subscribe(self.versions.append)

    def changed(self) -> None:
        self.changes += 1

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[StoreLink]:
        task = asyncio.create_task(self.link.run())
        try:
            yield self.link
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(what: str, look: object) -> None:
    async with asyncio.timeout(10):
        while not look():  # type: ignore[operator]
            await asyncio.sleep(0.01)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/gateway.db"


@pytest.fixture
def made(tmp_path: Path, url: str) -> Link:
    return Link(tmp_path, url)


async def test_the_first_start_shows_a_token_and_the_next_does_not(
    made: Link, tmp_path: Path, url: str
) -> None:
    with pytest.raises(StoreUnavailable):
        made.link.store()
    async with made.running():
        await until("open", lambda: made.link.available)
    assert len(made.tokens) == 1
    again = Link(tmp_path, url)
    async with again.running():
        await until("open", lambda: again.link.available)
    assert again.tokens == []


async def test_a_database_that_others_may_read_is_told_of_once(
    tmp_path: Path, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "gateway.db"
    remedy = f"chmod 600 {file}*"
    for mode, times in ((0o600, 0), (0o640, 1)):
        made = Link(tmp_path, url)
        async with made.running():
            await until("open", lambda made=made: made.versions)
            await made.link.store().routes.add(f"r{mode}", ROUTE, NOW)
            await until("the change", lambda made=made: made.changes)
        assert caplog.text.count(remedy) == times
        file.chmod(0o640)


async def test_a_change_elsewhere_is_followed_and_kept(
    made: Link, tmp_path: Path, url: str
) -> None:
    async with made.running(), Store.open(url) as elsewhere:
        await until("the first version", lambda: made.versions)
        assert made.changes == 0, "nothing is stored"
        await elsewhere.routes.add("a", ROUTE, NOW)
        await until("the change", lambda: made.changes == 1)
        await until("the version", lambda: made.versions[-1].plan > 0)
        await elsewhere.users.create("ann@example.org", "h", [], NOW)
        await until("the user", lambda: made.versions[-1].credentials > 0)
    assert made.changes == 1, "users are no part of the plan"
    assert [row.name for row in made.link.stored.sections] == ["a"]
    assert snapshot.read(tmp_path, url) == made.link.stored
    assert StoreLink(url, tmp_path, lambda: None, print).stored == made.link.stored


async def test_a_change_that_was_read_already_is_no_news(made: Link) -> None:
    async with made.running():
        await until("open", lambda: made.versions)
        await made.link.store().routes.add("a", ROUTE, NOW)
        await made.link.refresh()
        await until("the version", lambda: made.versions[-1].plan > 0)
    assert made.changes == 0


async def test_a_store_that_cannot_be_opened_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store_link, "RETRY_S", 0.02)
    made = Link(tmp_path, f"sqlite:///{tmp_path}/none/gateway.db")
    async with made.running():
        await until("an error", lambda: "none does not exist" in caplog.text)
        await asyncio.sleep(0.1)
        assert caplog.text.count("none does not exist") == 1, "it is told once"
        assert made.link.families()[0].samples == [({}, 0)]
        (tmp_path / "none").mkdir()
        await until("open", lambda: made.link.available)
        assert made.link.families()[0].samples == [({}, 1)]


async def test_a_snapshot_that_cannot_be_written_stops_nothing(
    made: Link, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / f"{snapshot.SNAPSHOT_FILE}.new").mkdir()
    async with made.running():
        await until("open", lambda: made.versions)
        await made.link.store().routes.add("a", ROUTE, NOW)
        await until("the change", lambda: made.changes == 1)
    assert "cannot keep a snapshot" in caplog.text


async def test_an_outage_while_rows_are_read_is_outlasted(
    made: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_link, "RETRY_S", 0.02)
    async with made.running():
        await until("open", lambda: made.versions)
        routes = made.link.store().routes
        listed, failures = routes.list, [1, 2]

        async def fail_twice() -> object:
            if failures:
                failures.pop()
                raise StoreUnavailable("away")
            return await listed()

        monkeypatch.setattr(routes, "list", fail_twice)
        await routes.add("a", ROUTE, NOW)
        await until("the change", lambda: made.changes == 1)


@pytest.mark.parametrize(
    "definition", ["[" * 3000 + "]" * 3000, '{"a": ', "[1]", "[" * 99 + "]" * 99]
)
async def test_a_broken_row_is_handed_on_and_the_rest_is_followed(
    made: Link, tmp_path: Path, url: str, definition: str
) -> None:
    async with made.running():
        await until("open", lambda: made.versions)
        store = made.link.store()
        await store.services.add("bad", {}, NOW)
        async with store.database.write("plan") as connection:
            await connection.exec_driver_sql("UPDATE services SET definition = ?", (definition,))
        await store.routes.add("a", ROUTE, NOW)
        await until("both", lambda: len(made.link.stored.sections) == 2)
        await store.users.create("ann@example.org", "h", [], NOW)
        await until("the user", lambda: made.versions[-1].credentials > 0)
    assert snapshot.read(tmp_path, url) == made.link.stored
    config = tmp_path / "gateway.yaml"
    config.write_text("services: { web: { endpoints: [ http://127.0.0.1:9 ] } }")
    merged, quarantined = merge(load(config, environ={}), made.link.stored)
    assert [row.name for row in quarantined] == ["bad"]
    assert [route.title for route in merged.config.routes] == ["a"]


@pytest.mark.parametrize("error", [StoreUnavailable("away"), RuntimeError("a bug")])
async def test_changes_are_heard_while_rows_cannot_be_read(
    made: Link, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """A key that is revoked counts no more, whatever becomes of the routes."""
    monkeypatch.setattr(store_link, "FAULT_PAUSE_S", 0.05)
    monkeypatch.setattr(store_link, "RETRY_S", 0.05)
    async with made.running():
        await until("open", lambda: made.versions)
        store = made.link.store()

        async def fail() -> object:
            raise error

        with monkeypatch.context() as broken:
            broken.setattr(store.routes, "list", fail)
            await store.routes.add("a", ROUTE, NOW)
            await until("the route", lambda: made.versions[-1].plan > 0)
            await store.users.create("ann@example.org", "h", [], NOW)
            await until("the user", lambda: made.versions[-1].credentials > 0)
            assert made.changes == 0
        await until("the change", lambda: made.changes == 1)


async def test_a_fault_is_logged_and_the_link_starts_again(
    made: Link, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store_link, "FAULT_PAUSE_S", 0.02)
    faults = [1]

    def fail_once(version: StoreVersion) -> None:
        if faults:
            faults.pop()
            raise RuntimeError("a bug")

    made.link.subscribe(fail_once)
    async with made.running():
        await until("the fault", lambda: "a bug" in caplog.text)
        await until("another version", lambda: len(made.versions) > 1)
