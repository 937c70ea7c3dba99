import re
import shutil
import subprocess
import sys
from pathlib import Path

from gateway._core import SERVICE_METRICS, WORKER_METRICS
from gateway.errors import REFUSALS

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
    page.write_text("# Keys\n<!-- generated: keys -->\na stale row\n<!-- end -->\nthe end\n")
    done = run(tmp_path, "--check")
    assert done.returncode == 1
    assert f"{page}: out of date" in done.stderr
    assert "a stale row" in page.read_text()
    assert run(tmp_path).returncode == 0
    text = page.read_text()
    assert "a stale row" not in text
    assert "| `workers` | `auto` or number | `auto` |" in text
    assert text.endswith("<!-- end -->\nthe end\n")
    assert run(tmp_path, "--check").returncode == 0


def test_errors_and_metrics_are_those_of_the_code(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "gen_docs.py", tmp_path / "tools")
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    parts = ("errors", "metrics")
    page.write_text("".join(f"<!-- generated: {part} -->\n<!-- end -->\n" for part in parts))
    assert run(tmp_path).returncode == 0
    text = page.read_text()
    for row in REFUSALS:
        assert f"| `{row.code}` | {row.status} | {row.side} |" in text
    for name, kind, meaning in WORKER_METRICS:
        assert f"| `gateway_{name}` | {kind} |  | {meaning} |" in text
    for name, kind, meaning in SERVICE_METRICS:
        assert f"| `gateway_{name}` | {kind} | `service` | {meaning} |" in text
    labels = "`method`, `route`, `status_code`, `service`"
    assert f"| `gateway_request_duration_seconds` | histogram | {labels} |" in text
    assert "| `gateway_worker_up` | gauge | `worker` |" in text
    assert "| `gateway_upstream_endpoint_up` | gauge | `service`, `endpoint` |" in text
    assert "| `gateway_rate_limit_exceeded_total` | counter | `policy`, `route` |" in text
    assert "| `gateway_canary_share` | gauge | `route`, `service` |" in text
    for shared in ("circuit_breaker_state", "circuit_breaker_followed_total"):
        assert re.search(rf"\| `gateway_{shared}` \| \w+ \| `service` \|", text)
    callers = "gateway_rate_limit_exceeded_callers_total"
    assert f"| `{callers}` | counter | `policy`, `caller` |" in text


def test_a_row_of_a_table_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "gen_docs.py", tmp_path / "tools")
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    parts = ("admin_codes", "admin_operations", "errors", "keys", "metrics")
    page.write_text("".join(f"<!-- generated: {part} -->\n<!-- end -->\n" for part in parts))
    assert run(tmp_path).returncode == 0
    for line in page.read_text().splitlines():
        assert line == "" or line.startswith(("<!--", "### ")) or (line[0], line[-1]) == ("|", "|")
