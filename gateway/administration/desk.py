"""Where an administrator works: the store, who it is, and the clock."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel

from gateway.store.errors import Conflict
from gateway.store.store import Store

__all__ = ["Desk", "utc_now"]


def utc_now() -> datetime:
    """The clock of everything but tests."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Desk:
    """Hands the acts what they need."""

    store: Store
    actor: str
    """For the audit log: ``token NAME (ID)`` or ``USER on HOST``."""
    service: str | None = None
    """The only one whose instances a registrar may see and change; None: there is no such bound."""
    clock: Callable[[], datetime] = utc_now

    @property
    def now(self) -> datetime:
        """The time."""
        return self.clock()

    @contextlib.asynccontextmanager
    async def adding(self, what: str) -> AsyncIterator[None]:
        """A transaction that adds something; ``Conflict`` says that `what` is there already."""
        try:
            async with self.store.transaction():
                yield
        except Conflict as error:
            raise Conflict(f"there is {what} already") from error

    async def record(
        self,
        action: str,
        subject: str,
        before: BaseModel | None = None,
        after: BaseModel | None = None,
    ) -> None:
        """Write to the audit log, in the transaction that runs."""
        await self.store.audit.append(
            self.actor,
            action,
            subject,
            now=self.now,
            before=None if before is None else before.model_dump(mode="json"),
            after=None if after is None else after.model_dump(mode="json"),
        )
