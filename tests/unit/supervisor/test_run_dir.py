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


def give_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To another user; who is not root becomes another one instead."""
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534, follow_symlinks=False)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)


def test_a_directory_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir(mode=0o700)
    give_away(foreign, monkeypatch)
    with pytest.raises(StartError, match=r"it belongs to another user .*--set server\.run_dir=DIR"):
        RunDir(foreign)
    assert list(foreign.iterdir()) == []


def test_a_link_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, link = tmp_path / "ours", tmp_path / "link"
    ours.mkdir(mode=0o700)
    link.symlink_to(ours)
    give_away(link, monkeypatch)
    with pytest.raises(StartError, match=r"a link of another user .*--set server\.run_dir=DIR"):
        RunDir(link)
    assert list(ours.iterdir()) == []


def test_a_link_that_leads_nowhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(StartError, match="cannot use"):
        RunDir(tmp_path / "link")
    assert not (tmp_path / "nowhere").exists()


def test_a_link_of_our_own_leads_to_a_directory_that_is_checked(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.mkdir(mode=0o700)
    link.symlink_to(target)
    RunDir(link).close()
    assert (target / "gateway.pid").exists()
    target.chmod(0o770)
    with pytest.raises(StartError, match=r"others may write to it; .*chmod go-w"):
        RunDir(link)


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
