import json
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.macro.machine import Machine
from benchmarks.macro.report import Findings, Report, Table, Verdict

VERDICTS = [
    Verdict("P1", "plain", "≤ 0.95", "0.91 (0.90–0.93)", True),
    Verdict("P3", "rate", "≤ 70%", "80%", False),
    Verdict("P8", "reload", "0 failed", "0 failed", None),
]
REPORT = Report(
    machine=Machine("AMD EPYC", 2, 23.5, "6.18", "3.11.7"),
    versions={"gateway": "0.1.0", "haproxy": "2.6.12"},
    absent={"envoy": "not installed"},
    options={"rounds": 5},
    findings=[
        Findings(
            "P1",
            "plain proxying",
            tables=[Table("CPU", ("peer", "µs"), [["a|b", "9.7"]])],
            verdicts=VERDICTS,
            notes=["a note"],
            raw={"samples": [1, 2]},
        )
    ],
    at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
)


def test_the_whole_report() -> None:
    assert (
        REPORT.to_markdown()
        == """\
# Benchmark

- 2026-01-02 03:04 UTC; AMD EPYC, 2 cores, 23.5 GiB, Linux 6.18, Python 3.11.7
- gateway 0.1.0, haproxy 2.6.12
- rounds 5
- absent: envoy: not installed

**Targets**

| target | what | wanted | measured | verdict |
| --- | ---: | ---: | ---: | ---: |
| P1 | plain | ≤ 0.95 | 0.91 (0.90–0.93) | met |
| P3 | rate | ≤ 70% | 80% | **not met** |
| P8 | reload | 0 failed | 0 failed | not decided |

## P1: plain proxying

**CPU**

| peer | µs |
| --- | ---: |
| a\\|b | 9.7 |

- a note
"""
    )


def test_json_holds_what_markdown_leaves_out() -> None:
    content = json.loads(REPORT.to_json())
    assert content["machine"]["cpu"] == "AMD EPYC"
    assert content["findings"][0]["raw"] == {"samples": [1, 2]}
    assert [v["met"] for v in content["findings"][0]["verdicts"]] == [True, False, None]


def test_both_files_bear_the_time(tmp_path: Path) -> None:
    paths = REPORT.write(tmp_path / "results")
    assert [path.name for path in paths] == ["2026-01-02-0304.md", "2026-01-02-0304.json"]
    assert paths[0].read_text() == REPORT.to_markdown()
