import os
from pathlib import Path

import pytest

from gateway.private_file import read_private, write_private


def test_what_was_written_is_read_and_is_ours_alone(tmp_path: Path) -> None:
    file = tmp_path / "a"
    for content in (b"one", b"", b"another"):
        write_private(file, content)
        assert read_private(file) == content
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_private(tmp_path / "a")


def test_a_file_that_others_may_write_to(tmp_path: Path) -> None:
    file = tmp_path / "a"
    write_private(file, b"x")
    for mode in (0o620, 0o602):
        file.chmod(mode)
        with pytest.raises(PermissionError, match="can be written by others"):
            read_private(file)
    file.chmod(0o644)
    assert read_private(file) == b"x"


def test_what_is_no_file(tmp_path: Path) -> None:
    write_private(tmp_path / "a", b"x")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(OSError, match="symbolic links"):
        read_private(tmp_path / "link")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PermissionError, match="is not a file of this user"):
        read_private(tmp_path / "pipe")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    write_private(tmp_path / "a", b"x")
    os.chown(tmp_path / "a", 12345, 12345)
    with pytest.raises(PermissionError, match="is not a file of this user"):
        read_private(tmp_path / "a")


def test_a_failed_write_leaves_the_old_content(tmp_path: Path) -> None:
    write_private(tmp_path / "a", b"old")
    (tmp_path / "a.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_private(tmp_path / "a", b"new")
    assert read_private(tmp_path / "a") == b"old"
