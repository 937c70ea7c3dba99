"""What a scenario found, as Markdown for people and JSON for comparison."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.macro.machine import Machine


@dataclass(frozen=True)
class Table:
    """Rows of text under a title."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def to_markdown(self) -> str:
        """A pipe table; the first column is text, the others are figures."""
        marks = ["---"] + ["---:"] * (len(self.columns) - 1)
        lines = [f"**{self.title}**", "", _row(self.columns), _row(marks)]
        return "\n".join([*lines, *(_row(row) for row in self.rows)])


@dataclass(frozen=True)
class Verdict:
    """A target beside what was measured. `met` is None when the run could not decide it."""

    target: str
    what: str
    wanted: str
    measured: str
    met: bool | None

    def to_row(self) -> list[str]:
        """Its line in the table of targets."""
        word = {True: "met", False: "**not met**", None: "not decided"}[self.met]
        return [self.target, self.what, self.wanted, self.measured, word]


@dataclass(frozen=True)
class Findings:
    """All that one scenario has to say. `raw` goes to the JSON only."""

    scenario: str
    title: str
    tables: Sequence[Table] = ()
    verdicts: Sequence[Verdict] = ()
    notes: Sequence[str] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)

    def to_markdown(self) -> str:
        """A section."""
        parts = [f"## {self.scenario}: {self.title}"]
        parts += [table.to_markdown() for table in self.tables]
        if self.notes:
            parts.append("\n".join(f"- {note}" for note in self.notes))
        return "\n\n".join(parts)


@dataclass(frozen=True)
class Report:
    """One run of the benchmark."""

    machine: Machine
    versions: Mapping[str, str]
    absent: Mapping[str, str]
    options: Mapping[str, Any]
    findings: Sequence[Findings]
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def to_markdown(self) -> str:
        """The whole report: the targets first, then how the figures came about."""
        parts = ["# Benchmark", self._conditions(), self._targets()]
        parts += [findings.to_markdown() for findings in self.findings]
        return "\n\n".join(part for part in parts if part) + "\n"

    def _conditions(self) -> str:
        machine = self.machine
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        lines = [
            f"- {self.at:%Y-%m-%d %H:%M} UTC; {machine.cpu}, {machine.cores} cores, "
            f"{machine.memory_gib} GiB, Linux {machine.kernel}, Python {machine.python}",
            f"- {versions}",
            "- " + ", ".join(f"{name} {value}" for name, value in self.options.items()),
        ]
        lines += [f"- absent: {name}: {why}" for name, why in self.absent.items()]
        return "\n".join(lines)

    def _targets(self) -> str:
        rows = [verdict.to_row() for found in self.findings for verdict in found.verdicts]
        if not rows:
            return ""
        columns = ("target", "what", "wanted", "measured", "verdict")
        return Table("Targets", columns, rows).to_markdown()

    def to_json(self) -> str:
        """Everything, samples included."""
        content = {
            "at": self.at.isoformat(timespec="seconds"),
            "machine": self.machine.to_json(),
            "versions": dict(self.versions),
            "absent": dict(self.absent),
            "options": dict(self.options),
            "findings": [asdict(found) for found in self.findings],
        }
        return json.dumps(content, indent=1)

    def write(self, directory: Path) -> list[Path]:
        """``DATE-TIME.md`` and ``.json`` in the directory."""
        directory.mkdir(parents=True, exist_ok=True)
        stem = directory / f"{self.at:%Y-%m-%d-%H%M}"
        paths = [stem.with_suffix(".md"), stem.with_suffix(".json")]
        paths[0].write_text(self.to_markdown())
        paths[1].write_text(self.to_json())
        return paths


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
