"""What differs between two configurations in meaning, not in text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gateway.config.dump import dump
from gateway.config.schema import Config
from gateway.config.values import format_value


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
    """All differences: what changed, in the order of the file, then what came and what went."""
    before, after = _flatten(old), _flatten(new)
    found = [
        Change("changed", path, value, after.values[path])
        for path, value in before.values.items()
        if path in after.values and value != after.values[path]
    ]
    found += [Change("removed", path, value, None) for path, value in _gone(before, after).items()]
    found += [Change("added", path, None, value) for path, value in _gone(after, before).items()]
    # Among equally specific routes the first one wins, so their order has a meaning.
    old_order = [path for path in before.routes if path in after.routes]
    new_order = [path for path in after.routes if path in before.routes]
    if old_order != new_order:
        found.append(Change("changed", "order of routes", old_order, new_order))
    return found


@dataclass(slots=True)
class _Flat:
    """A configuration as dotted paths. Routes and endpoints go by what they are, not by number."""

    values: dict[str, Any] = field(default_factory=dict)
    services: dict[str, Any] = field(default_factory=dict)
    """Path of each service → its summary."""
    routes: dict[str, Any] = field(default_factory=dict)
    """Path of each route → its summary."""

    def add(self, data: Any, path: str) -> None:
        """Add all values below `path`."""
        if isinstance(data, dict):
            for key, value in data.items():
                self.add(value, f"{path}.{key}")
        else:
            self.values[path] = data


def _gone(before: _Flat, after: _Flat) -> Mapping[str, Any]:
    """What only `before` has; a whole service or route is one entry, its summary."""
    lost = {path: text for path, text in before.services.items() if path not in after.services}
    lost |= {path: text for path, text in before.routes.items() if path not in after.routes}
    inside = tuple(f"{path}." for path in lost)
    values = {
        path: value
        for path, value in before.values.items()
        if path not in after.values and not path.startswith(inside)
    }
    return values | lost


def _flatten(config: Config) -> _Flat:
    data = dump(config, effective=True)
    flat = _Flat()
    flat.add(data["server"], "server")
    flat.add(data["store"], "store")
    flat.add(data["state"], "state")
    flat.add(data["auth"], "auth")
    flat.add(data["rate_limits"], "rate_limits")
    for name, service in data["services"].items():
        path = f"services.{name}"
        endpoints = {endpoint.pop("url"): endpoint for endpoint in service.pop("endpoints")}
        found = service.get("discovery")
        flat.services[path] = {"discovery": found} if found else {"endpoints": list(endpoints)}
        for url, endpoint in endpoints.items():
            if not endpoint["priority"]:  # so that most that come or go are one line
                del endpoint["priority"]
            flat.add(endpoint, f"{path}.endpoints[{url}]")
        flat.add(service, path)
    for route in data["routes"]:
        path = f"routes[{_identity(route)}]"
        flat.routes[path] = {"path": route["path"], **_answered_by(route)}
        flat.add(route, path)
    return flat


def _answered_by(route: dict[str, Any]) -> dict[str, Any]:
    if parts := route["split"]:
        return {"split": [f"{part['service']} {part['weight']}" for part in parts]}
    return {"service": route["service"]}


def _identity(route: dict[str, Any]) -> str:
    """A route's name; without one, its criteria."""
    if "name" in route:
        return str(route["name"])
    parts = [",".join(route["methods"]), ",".join(route["host"]), route["path"]]
    parts += (f"{kind} {format_value(route[kind])}" for kind in ("headers", "query") if route[kind])
    if route["priority"]:
        parts.append(f"priority {route['priority']}")
    return " ".join(filter(None, parts))
