import os
from pathlib import Path

import pytest

from gateway.config.server import default_run_dir, parse_head_size


def test_the_run_dir_depends_on_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_run_dir() == "/run/gateway"
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert default_run_dir() == str(tmp_path / "gateway")
    for useless in ("", "relative"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", useless)
        assert default_run_dir() == "/tmp/gateway-1234"


def test_heads_have_bounds() -> None:
    assert parse_head_size("1KiB") == 1024
    assert parse_head_size("1MiB") == 1 << 20
    for wrong in (1023, "1025KiB"):
        with pytest.raises(ValueError, match=f"must be between 1KiB and 1MiB, not {wrong}"):
            parse_head_size(wrong)
