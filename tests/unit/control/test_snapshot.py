"""The rows of the store on disk."""

from pathlib import Path

import pytest

from gateway.config.stored import Stored, StoredSection
from gateway.control import snapshot

URL = "postgresql://user:hunter2@db/x"
STORED = Stored((StoredSection("route", "a", {"path": "/"}),))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert snapshot.read(tmp_path, URL) == Stored()
    snapshot.write(tmp_path, URL, STORED)
    assert snapshot.read(tmp_path, URL) == STORED
    file = tmp_path / snapshot.SNAPSHOT_FILE
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"hunter2" not in file.read_bytes()


def test_the_rows_of_another_store_are_not_ours(tmp_path: Path) -> None:
    snapshot.write(tmp_path, URL, STORED)
    assert snapshot.read(tmp_path, "sqlite:///gateway.db") == Stored()


def test_a_broken_snapshot_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    snapshot.write(tmp_path, URL, STORED)
    file = tmp_path / snapshot.SNAPSHOT_FILE
    file.write_bytes(file.read_bytes()[:-5])
    assert snapshot.read(tmp_path, URL) == Stored()
    assert "cannot be used" in caplog.text
