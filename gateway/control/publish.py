"""Load and compile on demand: a configuration becomes a Publication, or a list of its problems."""

from dataclasses import dataclass, field
from pathlib import Path

import orjson

from gateway.config import Config, Loaded, load
from gateway.config.compile import compile_plan
from gateway.config.compile_service import Labels
from gateway.config.state import state_target
from gateway.config.stored import NOTHING_STORED, Stored, merge
from gateway.config.table import verify
from gateway.control.publication import Publication

__all__ = ["ConfigSource", "publish"]

FIXED_SETTINGS = ("http", "admin", "status", "workers", "rate_limit_keys", "run_dir", "log")
"""Of ``server``: they belong to sockets and processes that outlive a reload."""


@dataclass(frozen=True)
class ConfigSource:
    """Where the configuration comes from: the same at the start and at each reload."""

    path: Path | None
    overrides: dict[str, str] = field(default_factory=dict)
    """Dotted path → text, from the flags."""

    def load(self) -> Loaded:
        """Read and validate, the route table included. ConfigError with every problem."""
        loaded = load(self.path, self.overrides)
        verify(loaded)
        return loaded


def publish(
    loaded: Loaded,
    labels: Labels,
    generation: int,
    started_with: Config | None = None,
    stored: Stored = NOTHING_STORED,
) -> Publication:
    """Compile a valid configuration with the usable rows of the store.

    ``started_with``: the configuration of the start, of which some settings cannot change.
    """
    loaded, quarantined = merge(loaded, stored)
    config = loaded.config
    needs_restart: tuple[str, ...] = ()
    if started_with is not None:
        needs_restart = _changed(started_with, config)
        config = _with_settings_of(config, started_with)
    plan = compile_plan(config, labels, generation)
    return Publication(
        generation=generation,
        plan=plan.to_bytes().decode(),
        # Pydantic writes its secret types as asterisks in this mode.
        config=config.model_dump(mode="json"),
        drain_timeout_s=config.server.drain_timeout,
        needs_restart=needs_restart,
        quarantined=quarantined,
        discovery={
            name: service.discovery.to_message()
            for name, service in config.services.items()
            if service.discovery is not None
        },
        services=orjson.loads(orjson.dumps(plan.services)),
        splits=orjson.loads(orjson.dumps([route for route in plan.routes if route.split])),
    )


def _changed(before: Config, after: Config) -> tuple[str, ...]:
    changed = [
        f"server.{name}"
        for name in FIXED_SETTINGS
        if getattr(before.server, name) != getattr(after.server, name)
    ]
    if before.store != after.store:
        changed.append("store.url")
    if before.state != after.state:
        changed.append("state")
    if before.auth.enabled != after.auth.enabled:
        changed.append("auth.enabled")
    return tuple(changed)


def _with_settings_of(config: Config, started_with: Config) -> Config:
    """What will be in force: the number of workers, for one, divides the limit of connections."""
    fixed = {name: getattr(started_with.server, name) for name in FIXED_SETTINGS}
    server = config.server.model_copy(update=fixed)
    auth = config.auth.model_copy(update={"enabled": started_with.auth.enabled})
    limits = config.rate_limits
    if state_target(started_with.state.url).kind == "memory":
        # Without the Redis that comes with the restart, each host limits by itself.
        by_host = {"mode": "memory"}
        limits = {name: limit.model_copy(update=by_host) for name, limit in limits.items()}
    return config.model_copy(
        update={
            "server": server,
            "store": started_with.store,
            "state": started_with.state,
            "auth": auth,
            "rate_limits": limits,
        }
    )
