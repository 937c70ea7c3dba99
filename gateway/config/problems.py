"""What is wrong with a configuration, and where."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

Path = tuple[str | int, ...]
"""The way to a value: keys of mappings and indexes of lists."""


class Place(NamedTuple):
    """Where something was written: a file with line and column, a variable, a flag."""

    source: str
    line: int = 0
    """From 1; 0 if the source has no lines or the line is not known."""
    column: int = 0
    """From 1; 0 if not known."""

    def __str__(self) -> str:
        if not self.line:
            return self.source
        if not self.column:
            return f"{self.source}:{self.line}"
        return f"{self.source}:{self.line}:{self.column}"


def format_path(path: Path) -> str:
    """``("services", "a", "endpoints", 0)`` → ``services.a.endpoints[0]``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def printable(text: str) -> str:
    """The text on one line that is safe for a terminal: a key may hold any character."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: its place, the path of the value and a message that says what to do."""

    place: Place
    path: str
    message: str

    @property
    def file(self) -> str:
        """The file; or the variable or flag that the value came from."""
        return self.place.source

    @property
    def line(self) -> int:
        """From 1; 0 if not known."""
        return self.place.line

    @property
    def column(self) -> int:
        """From 1; 0 if not known."""
        return self.place.column

    def __str__(self) -> str:
        return printable(": ".join(filter(None, (str(self.place), self.path, self.message))))


class ConfigError(Exception):
    """A configuration that cannot be used, with everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        unique = dict.fromkeys(problems)
        self.problems = sorted(unique, key=lambda problem: problem.place)
        super().__init__("\n".join(str(problem) for problem in self.problems))
