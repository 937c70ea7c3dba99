import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(root / "tools" / "gen_docs.py"), *arguments],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_the_reference_is_up_to_date() -> None:
    done = run(ROOT, "--check")
    assert done.stderr == ""
    assert done.returncode == 0


def test_a_stale_page_is_found_and_written_anew(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "gen_docs.py", tmp_path / "tools")
    page = tmp_path / "docs" / "deep" / "page.md"
    page.parent.mkdir(parents=True)
    page.write_text("# Keys\n<!-- generated: keys -->\nold\n<!-- end -->\nthe end\n")
    done = run(tmp_path, "--check")
    assert done.returncode == 1
    assert f"{page}: out of date" in done.stderr
    assert "old" in page.read_text()
    assert run(tmp_path).returncode == 0
    text = page.read_text()
    assert "old" not in text
    assert "| `workers` | `auto` or number | `auto` |" in text
    assert text.endswith("<!-- end -->\nthe end\n")
    assert run(tmp_path, "--check").returncode == 0
