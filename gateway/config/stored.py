"""The stored part of the configuration: rows of the store laid beside what stands in the file.

The file is one text of one author: a mistake in it refuses the whole. The store has many rows of
many authors, some older or newer than this gateway: a row that cannot be used is put in
quarantine, and the rest serves.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson
from pydantic import ValidationError

from gateway.config.document import MAX_DEPTH, Node
from gateway.config.file_only import IN_A_ROW
from gateway.config.load import Loaded, findings
from gateway.config.messages import problems_of
from gateway.config.problems import ConfigError, Path, Place, format_path
from gateway.config.reflect import section_of, without_secrets
from gateway.config.schema import Config
from gateway.config.section import Section
from gateway.config.table import verify
from gateway.config.values import parse_name

__all__ = [
    "KINDS",
    "NOTHING_STORED",
    "Kind",
    "Quarantined",
    "Stored",
    "StoredSection",
    "merge",
    "public_section",
]

Kind = Literal["service", "policy", "route"]
KINDS: dict[Kind, str] = {"service": "services", "policy": "rate_limits", "route": "routes"}
"""Kind → key in the file, in the order in which they build on each other."""

_ROUTE_INDEX = re.compile(r"routes\[([0-9]+)\]")


@dataclass(frozen=True, slots=True)
class StoredSection:
    """A row: a name, and what the file would say under it."""

    kind: Kind
    name: str
    section: Any
    problem: str | None = None
    """Why there is no section, if it could not be read."""


@dataclass(frozen=True, slots=True)
class Stored:
    """All rows. Equal ones make equal Plans."""

    sections: tuple[StoredSection, ...] = ()

    def to_bytes(self) -> bytes:
        """As JSON; ``from_bytes`` is the way back."""
        return orjson.dumps(self.sections)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Stored":
        """What ``to_bytes`` described. ValueError or TypeError for anything else."""
        return cls(tuple(StoredSection(**row) for row in orjson.loads(data)))


NOTHING_STORED = Stored()


def public_section(kind: Kind, section: Any) -> Any:
    """What people may see of a section. A row with a secret is in quarantine, and shown there."""
    schema = section_of(Config.model_fields[KINDS[kind]].annotation)
    return without_secrets(schema, section) if schema is not None else section


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A row that is not in force."""

    kind: Kind
    name: str
    problem: str


def merge(loaded: Loaded, stored: Stored) -> tuple[Loaded, tuple[Quarantined, ...]]:
    """The file with all usable rows, and the others. `loaded` has been verified by itself."""
    if not stored.sections:
        return loaded, ()
    merging = _Merging(loaded.config)
    for kind in KINDS:
        for row in stored.sections:
            if row.kind == kind:
                merging.take(row)
    while blamed := merging.blame(loaded):
        for problem in blamed:
            merging.drop(problem)
    return replace(loaded, config=merging.config()), tuple(merging.quarantined)


class _Merging:
    """What has been taken so far."""

    def __init__(self, file: Config) -> None:
        self._file = file
        self._taken: dict[tuple[Kind, str], Section] = {}
        self.quarantined: list[Quarantined] = []

    def take(self, row: StoredSection) -> None:
        """Take the row if it is valid by itself."""
        try:
            self._taken[row.kind, row.name] = self._validated(row)
        except ValueError as error:
            self.quarantined.append(Quarantined(row.kind, row.name, str(error)))

    def drop(self, problem: Quarantined) -> None:
        """Put a row that was taken in quarantine; once, if it is blamed for several things."""
        if self._taken.pop((problem.kind, problem.name), None) is not None:
            self.quarantined.append(problem)

    def config(self) -> Config:
        """The file's configuration with the rows that are taken. The file's own come first."""
        update: dict[str, Any] = {}
        for kind, key in KINDS.items():
            rows = {name: section for (of, name), section in self._taken.items() if of == kind}
            if not rows:
                continue
            own = getattr(self._file, key)
            update[key] = (*own, *rows.values()) if kind == "route" else {**own, **rows}
        return self._file.model_copy(update=update)

    def blame(self, loaded: Loaded) -> list[Quarantined]:
        """Rows that do not go together with the file or with other rows; none if all do."""
        config = self.config()
        data = config.model_dump(mode="json", by_alias=True, exclude_none=True)
        found = list(findings(config, data))
        if not found:
            found = _refused_by_table(replace(loaded, config=config))
        blamed = []
        for path, message in found:
            if (row := self._row_at(path)) is not None:
                rest = format_path(path[2:])
                blamed.append(Quarantined(*row, f"{rest}: {message}" if rest else message))
        if found and not blamed and self._taken:
            # The file alone is in order, so some row has broken it. One by one, the last first.
            path, message = found[0]
            blamed.append(Quarantined(*list(self._taken)[-1], f"{format_path(path)}: {message}"))
        return blamed

    def _row_at(self, path: Path) -> tuple[Kind, str] | None:
        """The row that a path in the merged configuration leads to; None for the file's own."""
        kind = next((kind for kind, key in KINDS.items() if path[:1] == (key,)), None)
        if kind is None or len(path) < 2:
            return None
        if kind != "route":
            row = (kind, str(path[1]))
            return row if row in self._taken else None
        routes = [row for row in self._taken if row[0] == "route"]
        index = int(path[1]) - len(self._file.routes)
        return routes[index] if index >= 0 else None

    def _validated(self, row: StoredSection) -> Section:
        key = KINDS[row.kind]
        if row.problem is not None:
            raise ValueError(row.problem)
        if _is_deeper(row.section, MAX_DEPTH):
            raise ValueError(f"is nested deeper than {MAX_DEPTH} levels")
        parse_name(row.name)
        if key not in Config.model_fields:
            raise ValueError(f"this version of the gateway has no {key}")
        if row.name in self._names_in_file(row.kind):
            raise ValueError(f"the configuration file has a {row.kind} of this name, which wins")
        section = row.section
        if row.kind == "route" and isinstance(section, dict):
            section = {**section, "name": row.name}
        data: dict[str, Any] = {key: [section] if row.kind == "route" else {row.name: section}}
        try:
            valid = getattr(Config.model_validate(data, context=IN_A_ROW), key)
        except ValidationError as error:
            raise ValueError(_text_of(error, data, key)) from None
        only: Section = valid[0] if row.kind == "route" else valid[row.name]
        return only

    def _names_in_file(self, kind: Kind) -> Sequence[str]:
        own = getattr(self._file, KINDS[kind])
        return [route.title for route in own] if kind == "route" else list(own)


def _refused_by_table(loaded: Loaded) -> list[tuple[Path, str]]:
    """The route that the workers' route table refuses, if it refuses one."""
    try:
        verify(loaded)
    except ConfigError as error:
        found = [(_ROUTE_INDEX.match(problem.path), problem) for problem in error.problems]
        return [(("routes", int(at[1])), problem.message) for at, problem in found if at]
    return []


def _text_of(error: ValidationError, data: dict[str, Any], key: str) -> str:
    """All problems of one row, without the way to it."""
    root = _node(data)
    texts = []
    for problem in problems_of(error, root):
        path = problem.path
        if key == "routes":
            path = path.removeprefix("routes[0]")
        else:
            path = path.removeprefix(f"{key}.{next(iter(data[key]))}")
        path = path.removeprefix(".")
        texts.append(f"{path}: {problem.message}" if path else problem.message)
    return "; ".join(texts)


def _is_deeper(value: Any, levels: int) -> bool:
    """Without recursion, which has no bound here."""
    level = [value]
    for _ in range(levels + 1):
        level = [
            item
            for holder in level
            if isinstance(holder, dict | list)
            for item in (holder.values() if isinstance(holder, dict) else holder)
        ]
    return bool(level)


def _node(value: Any) -> Node:
    """Plain data as a document: the messages are made from one."""
    place = Place("store")
    if isinstance(value, dict):
        return Node({str(key): _node(item) for key, item in value.items()}, place)
    if isinstance(value, list):
        return Node([_node(item) for item in value], place)
    return Node(value, place)
