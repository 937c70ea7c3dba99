"""Load and compile on demand: a configuration becomes a Publication, or a list of its problems."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gateway.config import Loaded, load
from gateway.config.compile import compile_plan
from gateway.config.server import Server
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
        """Read and validate. ConfigError with every problem."""
        return load(self.path, self.overrides)


def publish(
    loaded: Loaded,
    intern: Callable[[str], int],
    generation: int,
    started_with: Server | None = None,
) -> Publication:
    """Compile a valid configuration. ``started_with``: the settings in force that cannot change."""
    config = loaded.config
    plan = compile_plan(config, intern, generation).to_bytes().decode()
    return Publication(
        generation=generation,
        plan=plan,
        # Pydantic writes its secret types as asterisks in this mode.
        config=config.model_dump(mode="json"),
        drain_timeout_s=config.server.drain_timeout,
        needs_restart=_changed(started_with, config.server) if started_with else (),
    )


def _changed(before: Server, after: Server) -> tuple[str, ...]:
    return tuple(
        f"server.{name}" for name in FIXED_SETTINGS if getattr(before, name) != getattr(after, name)
    )
