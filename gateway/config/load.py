"""File, environment and flags → a valid `Config`, or all that is wrong with them.

The order is: read → interpolate → lay over → validate → check. Each step adds to one list of
problems and goes on as far as it can.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, TypeVar

from pydantic import ValidationError

from gateway.config.auth import Auth
from gateway.config.checks import (
    CRITERIA,
    INSTANCES,
    Finding,
    check_listeners,
    check_providers,
    check_references,
    check_reserved,
    check_routes,
    check_run_dir,
    check_services,
    check_shared_breakers,
)
from gateway.config.document import MAX_BYTES, Node
from gateway.config.interpolate import interpolate
from gateway.config.json_reader import read_json
from gateway.config.layers import overlay_environment, overlay_flags
from gateway.config.limits import check_limits
from gateway.config.messages import problems_of
from gateway.config.problems import ConfigError, Path, Place, Problem, format_path
from gateway.config.routes import Route
from gateway.config.schema import Config
from gateway.config.section import Section
from gateway.config.server import Server
from gateway.config.services import Service
from gateway.config.table import check_paths
from gateway.config.toml_reader import read_toml
from gateway.config.yaml_reader import read_yaml

DEFAULT_PATHS = (FilePath("gateway.yaml"), FilePath("/etc/gateway/gateway.yaml"))
"""Where a file is looked for without ``-c`` and ``$GATEWAY_CONFIG``; the first that exists."""

_READERS = {".yaml": read_yaml, ".yml": read_yaml, ".json": read_json, ".toml": read_toml}

SectionType = TypeVar("SectionType", bound=Section)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid configuration, and where each of its values came from."""

    config: Config
    sources: Mapping[Path, Place]
    """Every value, mapping and list that is not a default → where it was written."""
    path: FilePath | None
    """The file; None if there was none and the defaults apply."""

    def place_of(self, path: Path) -> Place:
        """Where the value was written, or the nearest thing around it."""
        for length in range(len(path), 0, -1):
            if place := self.sources.get(path[:length]):
                return place
        return Place("default")


def find_file(path: FilePath | None, environ: Mapping[str, str]) -> FilePath | None:
    """The file to load: `path`, ``$GATEWAY_CONFIG``, or the first default path that exists."""
    if path is not None:
        return path
    if named := environ.get("GATEWAY_CONFIG"):
        return FilePath(named)
    return next((default for default in DEFAULT_PATHS if default.is_file()), None)


def load(
    path: FilePath | None,
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Load the file (see `find_file`) under the environment and `overrides` (dotted path → text).

    Raises `ConfigError` with every problem. Without any file the defaults are the base.
    """
    environ = os.environ if environ is None else environ
    file = find_file(path, environ)
    problems: list[Problem] = []
    root = _merged(file, overrides or {}, environ, problems)
    config = _validate(root, problems)
    if config is None:
        raise ConfigError(problems)
    sources: dict[Path, Place] = {}
    _collect_sources(root, (), sources)
    return Loaded(config, sources, file)


def find_run_dir(path: FilePath | None, overrides: Mapping[str, str]) -> FilePath:
    """``server.run_dir``, whatever else is wrong: who looks for an instance needs nothing more.

    Raises `ConfigError` with every problem if it cannot be known.
    """
    problems: list[Problem] = []
    root = _merged(find_file(path, os.environ), overrides, os.environ, problems)
    doubtful = any(problem.path in ("", "server", "server.run_dir") for problem in problems)
    data = root.plain()
    server = None
    if isinstance(data, dict) and not doubtful:
        server = _salvage(Server, data.get("server"), frozenset({"run_dir"}))
    if server is None:
        _validate(root, problems)
        raise ConfigError(problems)
    return FilePath(server.run_dir)


def _merged(
    file: FilePath | None,
    overrides: Mapping[str, str],
    environ: Mapping[str, str],
    problems: list[Problem],
) -> Node:
    """The file under the environment and the flags, not yet validated."""
    root = Node({}, Place("default")) if file is None else _read(file, problems)
    if root.value is None:
        root.value = {}
    interpolate(root, environ, problems)
    if isinstance(root.value, dict):
        overlay_environment(root, environ, problems)
        overlay_flags(root, overrides, problems)
    return root


def _read(file: FilePath, problems: list[Problem]) -> Node:
    place = Place(str(file))
    text = _text(file, place)
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        suffix = f"ends in {file.suffix}" if file.suffix else "has no suffix"
        message = f"{suffix}; name it .yaml, .toml or .json, after what is in it"
        raise ConfigError([Problem(place, "", message)])
    return reader(text, str(file), problems)


def _text(file: FilePath, place: Place) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError([Problem(place, "", f"cannot be read: {reason}")]) from None
    if len(data) > MAX_BYTES:
        raise ConfigError([Problem(place, "", f"is larger than {MAX_BYTES >> 20} MiB")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        found = Place(place.source, before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        message = f"is not UTF-8: the byte 0x{data[error.start]:02x} begins no character"
        raise ConfigError([Problem(found, "", message)]) from None


def _validate(root: Node, problems: list[Problem]) -> Config | None:
    """The configuration if it is valid; else None, and `problems` is not empty."""
    _check_text(root, (), problems)
    data = root.plain()
    config = None
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        problems += problems_of(error, root)
    for path, message in findings(config, data):
        problems.append(Problem(root.place_of(path), format_path(path), message))
    return None if problems else config


def _check_text(node: Node, path: Path, problems: list[Problem]) -> None:
    """Lone surrogates: from JSON escapes, or bytes in the environment that are not UTF-8."""
    if isinstance(node.value, str) and not _is_unicode(node.value):
        problems.append(Problem(node.place, format_path(path), "is not valid Unicode text"))
        node.broken = True
    elif isinstance(node.value, dict):
        for key, child in node.value.items():
            if not _is_unicode(key):
                place = child.key_place or child.place
                message = "the key is not valid Unicode text"
                node.broken = True
                problems.append(Problem(place, format_path((*path, key)), message))
            _check_text(child, (*path, key), problems)
    elif isinstance(node.value, list):
        for index, child in enumerate(node.value):
            _check_text(child, (*path, index), problems)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def findings(config: Config | None, data: Any) -> list[Finding]:
    """What the checks between sections find, also if some sections are not valid."""
    if not isinstance(data, dict):
        return []
    raw_services = data.get("services")
    raw_services = raw_services if isinstance(raw_services, dict) else {}
    raw_routes = data.get("routes")
    raw_routes = raw_routes if isinstance(raw_routes, list) else []
    services: Mapping[str, Service | None]
    if config is None:
        services = {name: _salvage(Service, raw, INSTANCES) for name, raw in raw_services.items()}
        routes = [_salvage(Route, raw, CRITERIA) for raw in raw_routes]
        auth = _salvage(Auth, data.get("auth"), frozenset()) or Auth()
        server = _salvage(Server, data.get("server"), frozenset()) or Server()
    else:
        services, routes = config.services, list(config.routes)
        auth, server = config.auth, config.server
    return [
        *check_services(services),
        *check_shared_breakers(raw_services, data.get("state")),
        *check_references(raw_routes, raw_services),
        *check_routes(routes),
        *check_paths(routes, server),
        *check_limits(data.get("rate_limits"), raw_routes, data.get("state")),
        *check_reserved(routes, auth),
        *check_providers(auth),
        *check_listeners(server),
        *check_run_dir(server, auth),
    ]


def _salvage(
    section: type[SectionType], data: Any, indispensable: frozenset[str]
) -> SectionType | None:
    """The section without the keys that are wrong, if it can do without them."""
    try:
        return section.model_validate(data)
    except ValidationError as error:
        if not isinstance(data, dict):
            return None
        wrong = {detail["loc"][0] for detail in error.errors() if detail["loc"]}
    if wrong & indispensable:
        return None
    try:
        return section.model_validate({key: data[key] for key in data if key not in wrong})
    except ValidationError:
        return None


def _collect_sources(node: Node, path: Path, sources: dict[Path, Place]) -> None:
    if path:
        sources[path] = node.place
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            _collect_sources(child, (*path, key), sources)
    elif isinstance(node.value, list):
        for index, child in enumerate(node.value):
            _collect_sources(child, (*path, index), sources)
