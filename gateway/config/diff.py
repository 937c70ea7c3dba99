"""What differs between two configurations in meaning, not in text."""

from dataclasses import dataclass
from typing import Any, Literal

from gateway.config.dump import dump
from gateway.config.schema import Config
from gateway.config.values import format_value

Flat = dict[str, Any]
"""Dotted path → value. Routes and endpoints go by what they are, not by their number."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `old` or `new` is None where the value does not exist."""

    kind: Literal["added", "removed", "changed"]
    path: str
    old: Any
    new: Any

    def __str__(self) -> str:
        if self.kind == "added":
            return f"+ {self.path}: {format_value(self.new)}"
        if self.kind == "removed":
            return f"- {self.path}: {format_value(self.old)}"
        return f"~ {self.path}: {format_value(self.old)} → {format_value(self.new)}"


def changes(old: Config, new: Config) -> list[Change]:
    """All differences: first what changed, in the order of the file, then what came and went."""
    before, after = _flatten(old), _flatten(new)
    found = [
        Change("changed", path, before[path], after[path])
        for path in before
        if path in after and before[path] != after[path]
    ]
    found += [Change("removed", p, before[p], None) for p in _gone(before, after)]
    found += [Change("added", p, None, after[p]) for p in _gone(after, before)]
    if (order := _route_order(before, after)) is not None:
        found.append(order)
    return found


def _gone(before: Flat, after: Flat) -> list[str]:
    """Paths only in `before`; of a whole route or service, only its first line."""
    lost = [path for path in before if path not in after]
    wholes = [path for path in lost if isinstance(before[path], dict)]
    return [
        path
        for path in lost
        if path in wholes or not any(path.startswith(f"{whole}.") for whole in wholes)
    ]


def _route_order(before: Flat, after: Flat) -> Change | None:
    """Among equally specific routes the first one wins, so their order has a meaning."""
    old = [path for path in before if path.startswith("routes[") and path in after]
    new = [path for path in after if path.startswith("routes[") and path in before]
    old, new = ([p for p in paths if isinstance(before[p], dict)] for paths in (old, new))
    return Change("changed", "order of routes", old, new) if old != new else None


def _flatten(config: Config) -> Flat:
    data = dump(config, effective=True)
    flat: Flat = {}
    _add(data["server"], "server", flat)
    for name, service in data["services"].items():
        path = f"services.{name}"
        endpoints = {endpoint["url"]: endpoint["weight"] for endpoint in service["endpoints"]}
        flat[path] = _Whole({"endpoints": list(endpoints)})
        for url, weight in endpoints.items():
            flat[f"{path}.endpoints[{url}].weight"] = weight
        _add({key: item for key, item in service.items() if key != "endpoints"}, path, flat)
    for route in data["routes"]:
        path = f"routes[{_identity(route)}]"
        flat[path] = _Whole({"path": route["path"], "service": route["service"]})
        _add(route, path, flat)
    return flat


class _Whole(dict[str, Any]):
    """Stands for a route or service; its content is compared value by value elsewhere."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Whole)

    __hash__ = None


def _identity(route: dict[str, Any]) -> str:
    """A route's name; without one, its criteria."""
    if "name" in route:
        return str(route["name"])
    parts = [",".join(route["methods"]), ",".join(route["host"]), route["path"]]
    parts += (f"{kind} {format_value(route[kind])}" for kind in ("headers", "query") if route[kind])
    if route["priority"]:
        parts.append(f"priority {route['priority']}")
    return " ".join(filter(None, parts))


def _add(data: Any, path: str, flat: Flat) -> None:
    if isinstance(data, dict):
        for key, value in data.items():
            _add(value, f"{path}.{key}", flat)
    else:
        flat[path] = data
