"""The audit log: who changed what, when, from what to what. Only ever appended to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from gateway.store.database import Database
from gateway.store.tables import audit_log

__all__ = ["Audit", "AuditEntry"]


@dataclass(frozen=True)
class AuditEntry:
    """A row of ``audit_log``."""

    id: int
    at: datetime
    actor: str
    action: str
    """What was done to what: ``route.create``, ``key.revoke``, …"""
    subject: str
    """Which one: a name or an id."""
    before: Any
    """Without secrets, as all that is shown; None for what is new."""
    after: Any


class Audit:
    """The table ``audit_log``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(
        self,
        actor: str,
        action: str,
        subject: str,
        *,
        now: datetime,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Write an entry, in the transaction of the change if there is one."""
        row = {
            "at": now,
            "actor": actor,
            "action": action,
            "subject": subject,
            "before": before,
            "after": after,
        }
        async with self._database.write() as connection:
            await connection.execute(sa.insert(audit_log).values(row))

    async def list(self, before: int | None = None, limit: int = 100) -> Sequence[AuditEntry]:
        """The newest first; with `before`, those with a smaller id."""
        statement = sa.select(audit_log).order_by(audit_log.c.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(audit_log.c.id < before)
        async with self._database.read() as connection:
            found = await connection.execute(statement)
            return [AuditEntry(**row) for row in found.mappings()]
