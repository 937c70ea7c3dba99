"""What one load of the configuration yields: the Plan, and what people may see of it."""

from dataclasses import asdict, dataclass, field
from typing import Any

from gateway.config.stored import Quarantined

__all__ = ["Publication"]


@dataclass(frozen=True)
class Publication:
    """One generation of the configuration. Immutable; goes between processes as JSON."""

    generation: int
    plan: str
    """The compiled Plan, as JSON text: the workers' bytes."""
    config: dict[str, Any]
    """The effective configuration as the file would write it, without secrets."""
    drain_timeout_s: float
    needs_restart: tuple[str, ...] = ()
    """Settings that differ from those the instance was started with, and cannot change while it
    runs."""
    quarantined: tuple[Quarantined, ...] = ()
    """Rows of the store that are not in force, and why."""
    discovery: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Service → how its endpoints are discovered, for `Discovery.from_message`. With secrets, so it
    goes over channels and nowhere else."""
    services: list[dict[str, Any]] = field(default_factory=list)
    """The services of the Plan as plain data: for those who watch them and need no routes."""

    splits: list[dict[str, Any]] = field(default_factory=list)
    """The routes of the Plan that divide their requests, as plain data."""

    @property
    def canaries(self) -> list[dict[str, Any]]:
        """Those that have a canary."""
        return [route for route in self.splits if route["canary"]]

    def to_message(self) -> dict[str, Any]:
        """For a channel; ``from_message`` is the way back."""
        return asdict(self)

    @classmethod
    def from_message(cls, fields: dict[str, Any]) -> "Publication":
        """The publication that ``to_message`` described."""
        quarantined = tuple(Quarantined(**row) for row in fields["quarantined"])
        needs_restart = tuple(fields["needs_restart"])
        return cls(**{**fields, "needs_restart": needs_restart, "quarantined": quarantined})
