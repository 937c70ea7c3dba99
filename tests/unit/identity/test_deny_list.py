import os
from pathlib import Path

import pytest

from gateway.identity.deny_list import SPARE_LINES, DenyList
from gateway.state.interface import Revocation

NOW_S = 1_800_000_000


def session(name: str, until_s: int = NOW_S + 900) -> Revocation:
    return Revocation("session", name, until_s, until_s)


def lines(path: Path) -> int:
    return len(path.read_bytes().splitlines())


def test_the_next_start_knows_them(tmp_path: Path) -> None:
    path = tmp_path / "revoked"
    first = DenyList(path)
    assert first.read(NOW_S) == []
    told = [session("a"), Revocation("user", "ü\n,", NOW_S, NOW_S + 60), session("b", NOW_S + 30)]
    for revocation in told:
        first.add(revocation, NOW_S)
        first.add(revocation, NOW_S)
    assert lines(path) == 3
    assert DenyList(path).read(NOW_S) == told
    assert DenyList(path).read(NOW_S + 30) == told[:2]
    assert lines(path) == 2
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_later_one_of_two_counts(tmp_path: Path) -> None:
    path = tmp_path / "revoked"
    deny_list = DenyList(path)
    for before_s in (NOW_S, NOW_S + 5, NOW_S + 2):
        deny_list.add(Revocation("user", "u", before_s, NOW_S + 900), NOW_S)
    (found,) = DenyList(path).read(NOW_S)
    assert found.before_s == NOW_S + 5


def test_lines_that_are_none_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "revoked"
    deny_list = DenyList(path)
    deny_list.add(session("a"), NOW_S)
    with path.open("ab") as file:
        file.write(
            b'["planet","x",1,9999999999]\n[[],"x",1,9999999999]\n{"a":1}\n'
            b'["session",1,1,9999999999]\n{}\nnull\n[1]\n'
        )
        file.write(b'["session","x","1",9999999999]\n\xff\n')
        file.write(b'["session","cut off",18')
    again = DenyList(path)
    assert again.read(NOW_S) == [session("a")]
    again.add(session("b"), NOW_S)  # not behind half a line
    assert DenyList(path).read(NOW_S) == [session("a"), session("b")]


def test_file_and_memory_are_bounded_by_what_is_in_force(tmp_path: Path) -> None:
    path = tmp_path / "revoked"
    deny_list = DenyList(path)
    for n in range(5 * SPARE_LINES):
        deny_list.add(session(f"s-{n}", NOW_S + n + 10), NOW_S + n)  # ten are in force at a time
    assert lines(path) <= SPARE_LINES + 20
    assert len(deny_list._known) <= SPARE_LINES + 20
    assert len(DenyList(path).read(NOW_S + 5 * SPARE_LINES - 1)) == 10


def test_what_cannot_be_kept_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    deny_list = DenyList(tmp_path / "none" / "revoked")
    for name in "ab":
        deny_list.add(session(name), NOW_S)
    assert caplog.text.count("cannot keep revocations") == 1


def test_a_line_that_does_not_fit_leaves_no_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "revoked"
    deny_list, write = DenyList(path), os.write
    deny_list.add(session("a"), NOW_S)
    for name in "bd":
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", lambda fd, line: write(fd, line[:9]))
            deny_list.add(session(name), NOW_S)
        assert path.read_bytes().endswith(b"]\n")
        deny_list.add(session(name + "2"), NOW_S)
    names = {"a", "b", "b2", "d", "d2"}
    assert {told.name for told in DenyList(path).read(NOW_S)} == names, "what failed comes later"
    assert caplog.text.count("cannot keep revocations") == 2, "told again after a success"


def test_a_file_that_others_may_write_to_is_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "revoked"
    DenyList(path).add(session("a"), NOW_S)
    path.chmod(0o666)
    assert DenyList(path).read(NOW_S) == []
    assert "cannot be used" in caplog.text
