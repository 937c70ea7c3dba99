"""Load and compile on demand: a configuration becomes a Publication, or a list of its problems."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from gateway.config import Config, Loaded, load
from gateway.config.compile import compile_plan
from gateway.config.server import Server
from gateway.config.table import verify
from gateway.control.publication import Publication

__all__ = ["ConfigSource", "publish"]

FIXED_SETTINGS = ("http", "admin", "status", "workers", "run_dir", "log")
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
    intern: Callable[[str], int],
    generation: int,
    started_with: Server | None = None,
) -> Publication:
    """Compile a valid configuration. ``started_with``: the settings in force that cannot change."""
    config = loaded.config
    needs_restart: tuple[str, ...] = ()
    if started_with is not None:
        needs_restart = _changed(started_with, config.server)
        config = _with_settings_of(config, started_with)
    plan = compile_plan(config, intern, generation)
    return Publication(
        generation=generation,
        plan=plan.to_bytes().decode(),
        # Pydantic writes its secret types as asterisks in this mode.
        config=config.model_dump(mode="json"),
        drain_timeout_s=config.server.drain_timeout,
        needs_restart=needs_restart,
        discovery={
            name: service.discovery.to_message()
            for name, service in config.services.items()
            if service.discovery is not None
        },
        services=orjson.loads(orjson.dumps(plan.services)),
        canaries=orjson.loads(orjson.dumps([route for route in plan.routes if route.canary])),
    )


def _changed(before: Server, after: Server) -> tuple[str, ...]:
    return tuple(
        f"server.{name}" for name in FIXED_SETTINGS if getattr(before, name) != getattr(after, name)
    )


def _with_settings_of(config: Config, started_with: Server) -> Config:
    """What will be in force: the number of workers, for one, divides the limit of connections."""
    fixed = {name: getattr(started_with, name) for name in FIXED_SETTINGS}
    return config.model_copy(update={"server": config.server.model_copy(update=fixed)})
