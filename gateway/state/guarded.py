"""The stances: what becomes of each use of the state while Redis is away."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Literal, TypeVar

from gateway.state.interface import Revocation, Space, State, StateUnavailable

__all__ = ["GuardedState"]

Result = TypeVar("Result")
Stance = Literal["fail_open", "fail_closed"]


class GuardedState:
    """Asks the shared backend; where the stance is ``fail_open``, this host's own if it is away."""

    def __init__(self, shared: State, local: State, stances: Mapping[Space, Stance]) -> None:
        self._shared = shared
        self._local = local
        self._stances = stances

    async def put(self, space: Space, key: str, fields: Mapping[str, str], ttl_s: int) -> None:
        """See `State.put`."""
        await self._ask(space, lambda state: state.put(space, key, fields, ttl_s))

    async def get(self, space: Space, key: str) -> dict[str, str] | None:
        """See `State.get`."""
        return await self._ask(space, lambda state: state.get(space, key))

    async def take(self, space: Space, key: str) -> dict[str, str] | None:
        """See `State.take`."""
        return await self._ask(space, lambda state: state.take(space, key))

    async def forget(self, space: Space, key: str) -> None:
        """See `State.forget`."""
        await self._ask(space, lambda state: state.forget(space, key))

    async def count(self, space: Space, key: str, window_s: int, by: int = 1) -> int:
        """See `State.count`."""
        return await self._ask(space, lambda state: state.count(space, key, window_s, by))

    async def revoke(self, revocation: Revocation) -> None:
        """See `State.revoke`."""
        await self._shared.revoke(revocation)

    def revocations(self) -> AsyncIterator[Revocation]:
        """See `State.revocations`."""
        return self._shared.revocations()

    async def close(self) -> None:
        """See `State.close`."""
        await self._shared.close()
        await self._local.close()

    async def _ask(self, space: Space, ask: Callable[[State], Awaitable[Result]]) -> Result:
        try:
            return await ask(self._shared)
        except StateUnavailable:
            if self._stances[space] == "fail_closed":
                raise
        return await ask(self._local)
