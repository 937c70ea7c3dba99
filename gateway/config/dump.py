"""`Config` → plain data in the form of the file, and where each value came from."""

from collections.abc import Iterator
from typing import Any

from gateway.config.load import Loaded
from gateway.config.problems import Path
from gateway.config.schema import Config


def dump(config: Config, effective: bool) -> dict[str, Any]:
    """The configuration as it would stand in a file: what was set, or with all defaults."""
    data: dict[str, Any] = config.model_dump(
        mode="json", by_alias=True, exclude_unset=not effective, exclude_none=True
    )
    return data


def leaves(data: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value that is not a filled mapping or list, with its path."""
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from leaves(value, (*path, key))
    elif isinstance(data, list) and data:
        for index, value in enumerate(data):
            yield from leaves(value, (*path, index))
    else:
        yield path, data


def sources(loaded: Loaded) -> dict[Path, str]:
    """Path of each value of the effective configuration → ``file:line:column``, ``$VAR``, …"""
    written = {path for path, _ in leaves(dump(loaded.config, effective=False))}
    effective = leaves(dump(loaded.config, effective=True))
    return {
        path: str(loaded.place_of(path)) if path in written else "default" for path, _ in effective
    }
