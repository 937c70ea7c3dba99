"""Reads the tables of wire cases and checks what they say of fields."""

import tomllib
from pathlib import Path
from typing import Any, Protocol

import pytest

KEYS = {
    "name",
    "class",
    "rfc",
    "request",
    "upstream",
    "then",
    "verdict",
    "status",
    "code",
    "count",
    "method",
    "target",
    "body",
    "headers",
    "absent",
    "present",
    "never",
    "each_absent",
    "raw_absent",
    "trailers_absent",
    "informational",
    "closed",
    "reused",
}


class Message(Protocol):
    def get_all(self, name: str) -> list[str]: ...


def cases(directory: Path) -> list[Any]:
    """One pytest parameter for each case, with the bytes assembled. An unknown key is an error."""
    found = []
    for file in sorted(directory.glob("*.toml")):
        for case in tomllib.loads(file.read_text())["case"]:
            assert set(case) <= KEYS, f"{file.name}: {case['name']}: {set(case) - KEYS}"
            for key in ("request", "upstream"):
                if key in case:
                    case[key] = assemble(case[key])
            found.append(pytest.param(case, id=f"{file.stem}: {case['name']}"))
    names = [parameter.id for parameter in found]
    assert len(set(names)) == len(names), "two cases bear the same name"
    return found


def assemble(pieces: Any) -> bytes:
    """Latin-1 text, or a list of texts and ``{ of, times }`` repetitions."""
    if isinstance(pieces, str):
        return pieces.encode("latin-1")
    return b"".join(
        piece["of"].encode("latin-1") * piece["times"]
        if isinstance(piece, dict)
        else piece.encode("latin-1")
        for piece in pieces
    )


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def check_fields(message: Message, case: dict[str, Any]) -> None:
    for name, value in case.get("headers", {}).items():
        assert message.get_all(name) == as_list(value), name
    for name in case.get("absent", []):
        assert message.get_all(name) == [], name
    for name in case.get("present", []):
        assert message.get_all(name), name
    for name, value in case.get("never", {}).items():
        assert value not in message.get_all(name), name
