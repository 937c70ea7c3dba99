"""The directory of an instance."""

import os
from pathlib import Path

import pytest

from gateway.supervisor.errors import StartError
from gateway.supervisor.run_dir import RunDir


def test_one_instance_per_directory(tmp_path: Path) -> None:
    first = RunDir(tmp_path / "run")
    with pytest.raises(StartError, match=rf"another gateway \(pid {os.getpid()}\) runs"):
        RunDir(tmp_path / "run")
    first.clear()
    assert (tmp_path / "run/gateway.pid").read_text() == ""
    RunDir(tmp_path / "run").close()


def test_a_directory_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(StartError, match="others may write to it"):
        RunDir(shared)


def test_a_path_that_cannot_be_a_directory_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match=r"cannot use .*--set server\.run_dir=DIR"):
        RunDir(tmp_path / "file/run")


def test_the_plan_is_replaced_whole_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path / "run")
    run_dir.save_plan(b"one")
    run_dir.save_plan(b"two")
    plan = tmp_path / "run/plan.json"
    assert plan.read_bytes() == b"two"
    assert plan.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in plan.parent.iterdir()) == ["gateway.pid", "plan.json"]
    run_dir.close()
