"""Transactions, and what goes wrong with a database in the words of the store."""

import asyncio
import socket
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from gateway.store import database as module
from gateway.store.database import Database
from gateway.store.errors import StoreUnavailable
from gateway.store.store import Store
from tests.servers.postgres import PostgresServer


async def test_a_connection_that_is_refused_is_an_outage() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    await assert_unavailable(f"postgresql://user:hunter2@127.0.0.1:{port}/x")


async def test_a_server_that_does_not_answer_is_an_outage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CONNECT_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        await assert_unavailable(f"postgresql://user:hunter2@127.0.0.1:{port}/x?sslmode=disable")


async def test_a_database_that_does_not_exist_is_an_outage(
    postgres_server: PostgresServer,
) -> None:
    await assert_unavailable(f"postgresql://gateway@127.0.0.1:{postgres_server.port}/none")


async def test_a_statement_that_takes_too_long_is_an_outage(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMAND_TIMEOUT_S", 0.2)
    database = Database(postgres_server.database())
    try:
        with pytest.raises(StoreUnavailable, match="no answer in time"):
            await run(database, "SELECT pg_sleep(5)")
    finally:
        await database.close()


async def test_a_server_that_restarts_is_found_again(postgres_server: PostgresServer) -> None:
    async with Store.open(postgres_server.database()) as store:
        before = await store.changes.current()
        postgres_server.stop()
        try:
            with pytest.raises(StoreUnavailable):
                await store.changes.current()
        finally:
            postgres_server.start()
        assert await store.changes.current() == before


async def test_a_deadlock_is_an_outage(postgres_server: PostgresServer) -> None:
    database = Database(postgres_server.database())
    try:
        await run(database, "CREATE TABLE t AS SELECT n, 0 AS v FROM generate_series(1, 2) AS n")
        both_hold_one = asyncio.Barrier(2)

        async def update(*numbers: int) -> None:
            async with database.write() as connection:
                for number in numbers:
                    text = f"UPDATE t SET v = v + 1 WHERE n = {number}"
                    await connection.execute(sa.text(text))
                    if number == numbers[0]:
                        await both_hold_one.wait()

        results = await asyncio.gather(update(1, 2), update(2, 1), return_exceptions=True)
        [failure] = filter(None, results)
        assert isinstance(failure, StoreUnavailable)
        assert "deadlock detected" in str(failure)
    finally:
        await database.close()


async def test_a_mistake_of_ours_is_no_outage(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db")
    try:
        with pytest.raises(exc.OperationalError):
            await run(database, "SELECT nonsense FROM nowhere")
    finally:
        await database.close()


async def test_a_locked_file_is_an_outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_TIMEOUT_MS", 50)
    one, two = (Database(f"sqlite:///{tmp_path}/x.db") for _ in range(2))
    try:
        async with one.write():
            with pytest.raises(StoreUnavailable, match="locked"):
                async with two.write():
                    pass
    finally:
        await one.close()
        await two.close()


async def test_readers_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    async with Store.open(f"sqlite:///{tmp_path}/x.db") as store:
        async with store.database.write("plan"), asyncio.timeout(2):
            other = asyncio.create_task(store.changes.current())
            # Made inside, the task would join the transaction: it inherits the context.
            inside = await other
        assert inside.plan == (await store.changes.current()).plan


async def assert_unavailable(url: str) -> None:
    database = Database(url)
    try:
        with pytest.raises(StoreUnavailable) as caught:
            await run(database, "SELECT 1")
        assert "hunter2" not in str(caught.value)
        assert str(caught.value)
    finally:
        await database.close()


async def run(database: Database, statement: str) -> None:
    async with database.read() as connection:
        await connection.execute(sa.text(statement))


async def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    async with Store.open(f"sqlite:///{tmp_path}/g.db") as store:
        await store.upgrade()
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes["g.db"] == 0o600
    assert set(modes.values()) == {0o600}, "also of the write-ahead log"


async def test_the_mode_of_a_file_that_exists_is_left(tmp_path: Path) -> None:
    file = tmp_path / "g.db"
    file.touch()
    file.chmod(0o640)
    async with Store.open(f"sqlite:///{file}") as store:
        await store.upgrade()
        assert store.database.exposed_file() == file
        file.chmod(0o600)
        assert store.database.exposed_file() is None
        file.chmod(0o640)
    assert file.stat().st_mode & 0o777 == 0o640


async def test_the_error_of_a_wrong_statement_does_not_name_its_values(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db")
    with pytest.raises(exc.DBAPIError) as caught:
        async with database.write() as connection:
            await connection.execute(sa.text("INSERT INTO none VALUES (:v)"), {"v": "hunter2"})
    await database.close()
    assert "hunter2" not in str(caught.value)
