"""Each invariant is broken once in a small tree, and found."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.check_layers import COMPILED, Finding, check

ROOT = Path(__file__).parents[3]
SAFE = "#![forbid(unsafe_code)]\n"
DENIED = "#![deny(unsafe_code)]\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree without findings: what the table of compiled imports names is there."""
    for name, (modules, _) in COMPILED.items():
        imports = "".join(f"import {module}\n" for module in modules.split())
        write(tmp_path, name, imports)
    write(tmp_path, "native/core/src/lib.rs", DENIED)
    assert check(tmp_path) == []
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def only(root: Path) -> Finding:
    [finding] = check(root)
    return finding


def test_the_repository_has_no_errors() -> None:
    assert [str(finding) for finding in check(ROOT) if finding.is_error] == []


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("native/core/src/lib.rs", DENIED + "use pyo3::prelude::*;\n", "does not know Python"),
        ("native/core/Cargo.toml", '[dependencies]\npyo3 = "1"\n', "does not know Python"),
        ("native/core/src/a.rs", "fn f() {}\n", "forbid(unsafe_code)"),
        ("native/core/src/a.rs", "// #![forbid(unsafe_code)]\n", "forbid(unsafe_code)"),
        ("native/core/src/segment/a.rs", "fn f() {}\n", "forbid(unsafe_code)"),
        ("native/core/src/lib.rs", "", "deny(unsafe_code)"),
        ("cext/a.pyx", "from gateway.config import load\n", "imports gateway.config"),
        ("cext/a.pyx", "from gateway import channel\n", "imports gateway.channel"),
        ("cext/a.pxd", "    cimport gateway.worker\n", "imports gateway.worker"),
        ("cext/a.pyx", 'include "b.pyx"\n', "includes another source"),
        ("gateway/cli/a.py", "from gateway import _core\n", "imports gateway._core"),
        ("gateway/a.py", "def f():\n    import gateway.cext.pool\n", "imports gateway.cext.pool"),
        ("gateway/config/explain.py", "", "no longer imports gateway._core"),
        ("gateway/config/a.py", "from gateway.control import app\n", "gateway/config stands below"),
        ("gateway/errors.py", "import gateway.channel\n", "gateway/errors.py stands below"),
        ("gateway/store/a.py", "import gateway.control.status\n", "gateway/store stands below"),
        ("gateway/a.py", "def f():\n    import sqlalchemy.orm\n", "only gateway/store/ speaks"),
        ("tests/unit/helpers.py", "", "says nothing"),
        ("tools/a.py", "x = 1\n" * 601, "601 lines"),
    ],
)
def test_a_broken_invariant_is_found(tree: Path, name: str, text: str, message: str) -> None:
    write(tree, name, text)
    finding = only(tree)
    assert finding.path == name
    assert message in finding.message
    assert finding.is_error


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cext/a.pyx", "from gateway import _core\nfrom gateway.errors import REFUSALS\n"),
        ("cext/a.pyx", "from gateway.cext.head cimport Head\nfrom libc.string cimport memcpy\n"),
        ("gateway/cli/a.py", "if TYPE_CHECKING:\n    from gateway._core import Segment\n"),
        ("gateway/config/a.py", "import gateway_elsewhere\nfrom gateway.config import load\n"),
        ("native/core/src/a.rs", f"{SAFE}// pyo3 binds this\n"),
        ("native/core/src/segment.rs", "#![allow(unsafe_code)]\n"),
        ("native/core/src/segment/tests.rs", "unsafe fn f() {}\n"),
        ("native/core/target/base.rs", "use pyo3;\n"),
        ("tools/.cache/utils.py", ""),
    ],
)
def test_what_is_allowed_is_not_reported(tree: Path, name: str, text: str) -> None:
    write(tree, name, text)
    assert check(tree) == []


def test_a_module_is_safe_inside_a_safe_one(tree: Path) -> None:
    write(tree, "native/core/src/a/mod.rs", SAFE)
    write(tree, "native/core/src/a/b/c.rs", "fn f() {}\n")
    assert check(tree) == []


def test_a_long_file_is_only_a_warning(tree: Path) -> None:
    write(tree, "tools/a.py", "x = 1\n" * 401)
    assert not only(tree).is_error
    done = run(tree)
    assert done.returncode == 0
    assert "tools/a.py: warning: 401 lines" in done.stdout


def test_the_exit_code_counts_errors(tree: Path) -> None:
    write(tree, "gateway/misc.py", "")
    done = run(tree)
    assert done.returncode == 1
    assert done.stdout.endswith("check_layers: errors 1, warnings 0\n")


def run(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "tools" / "check_layers.py"), str(root)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
