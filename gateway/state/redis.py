"""The state of all hosts, in Redis or Valkey.

Names of keys, where others may want to look: ``jwt_blacklist:<sessionId>``, ``api_keys:<id>`` and
so on. A revocation is a key, for those who come later, and an entry of the stream ``revocations``,
for those who listen. Who begins, or was away, reads the keys and then the stream from before that.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from redis.exceptions import RedisClusterException, RedisError, ResponseError

from gateway.state.interface import Revocation, Space, StateUnavailable

__all__ = ["RedisState"]

STREAM: Final = "revocations"
BLACKLIST: Final = "jwt_blacklist:"
RETENTION_S = 3600
"""How far back the stream goes: further than anybody who listens can be behind."""
LONGEST_S = 86_400
"""How long a key without an end counts. Ours have one."""
BATCH = 1000
"""Keys or entries of the stream in one answer."""
BLOCK_MS = 1000
"""How long a read of the stream waits. It is also how soon a frozen Redis is noticed."""
RETRY_S = 0.5
"""Between two tries to reach Redis again."""
PAUSE_S = 0.2
"""After a failure nobody else waits for the next one: a login asks several times."""

_TAKE: Final = "local f = redis.call('HGETALL', KEYS[1]) redis.call('DEL', KEYS[1]) return f"
_PUT: Final = (
    "redis.call('DEL', KEYS[1]) redis.call('HSET', KEYS[1], unpack(ARGV, 2)) "
    "redis.call('EXPIRE', KEYS[1], ARGV[1])"
)
_COUNT: Final = (
    "local n = redis.call('INCRBY', KEYS[1], ARGV[1]) "
    "if redis.call('TTL', KEYS[1]) < 0 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end return n"
)
"""One key each, so that they run in a cluster too."""

FAILURES: Final = (RedisError, RedisClusterException, OSError, TimeoutError)
"""What says that Redis is away. That of clusters is no `RedisError`."""

Result = TypeVar("Result")

log = logging.getLogger(__name__)


class RedisState:
    """Talks to one Redis, Sentinel's primary, or a cluster: whatever `client` is connected to."""

    def __init__(
        self,
        client: Any,
        reader: Any,
        timeout_s: float,
        closers: Sequence[Callable[[], Awaitable[Any]]],
    ) -> None:
        """``reader``: a second client, whose answers may take `BLOCK_MS` longer."""
        self._client = client
        self._reader = reader
        self._timeout_s = timeout_s
        self._closers = closers
        self._paused_until = 0.0
        self._own: dict[tuple[str, str], Revocation] = {}
        self.available = True
        """Whether it answered when it was last asked, or has not been asked yet."""
        self.informed = False
        """Whether what other hosts have revoked is known, and will be."""
        self.failures = 0
        """How often Redis did not answer."""
        self.on_change: Callable[[], None] = lambda: None
        """Called when `available` or `informed` changes."""

    async def put(self, space: Space, key: str, fields: Mapping[str, str], ttl_s: int) -> None:
        """See `State.put`."""
        flat = [text for pair in fields.items() for text in pair]
        await self._eval(_PUT, space, key, ttl_s, *flat)

    async def get(self, space: Space, key: str) -> dict[str, str] | None:
        """See `State.get`."""
        found: dict[str, str] = await self._do(lambda: self._client.hgetall(f"{space}:{key}"))
        return found or None

    async def take(self, space: Space, key: str) -> dict[str, str] | None:
        """See `State.take`."""
        flat: list[str] = await self._eval(_TAKE, space, key)
        return dict(zip(flat[::2], flat[1::2], strict=True)) or None

    async def forget(self, space: Space, key: str) -> None:
        """See `State.forget`."""
        await self._do(lambda: self._client.delete(f"{space}:{key}"))

    async def count(self, space: Space, key: str, window_s: int, by: int = 1) -> int:
        """See `State.count`."""
        return int(await self._eval(_COUNT, space, key, by, window_s))

    async def close(self) -> None:
        """Close the connections."""
        for close in self._closers:
            with contextlib.suppress(RedisError, OSError):
                await close()

    async def _eval(self, script: str, space: Space, key: str, *values: Any) -> Any:
        return await self._do(lambda: self._client.eval(script, 1, f"{space}:{key}", *values))

    async def _do(self, operation: Callable[[], Awaitable[Result]]) -> Result:
        if time.monotonic() < self._paused_until:
            raise StateUnavailable("Redis did not answer a moment ago")
        try:
            async with asyncio.timeout(self._timeout_s):
                return await operation()
        except ResponseError as error:  # Redis is there, and will not do this
            self.failures += 1
            raise StateUnavailable(f"Redis: {self._reason(error)}") from None
        except FAILURES as error:
            self._paused_until = time.monotonic() + PAUSE_S
            self.failures += 1
            raise StateUnavailable(f"Redis: {self._reason(error)}") from None

    # --- revocations -------------------------------------------------------------------------

    async def revoke(self, revocation: Revocation) -> None:
        """See `State.revoke`."""
        self._own[revocation.kind, revocation.name] = revocation
        try:
            await self._do(lambda: self._tell([revocation]))
        except StateUnavailable as error:
            log.warning("other hosts will hear later of a revocation: %s", error)

    async def revocations(self) -> AsyncIterator[Revocation]:
        """See `State.revocations`."""
        position = ""
        while True:
            _end_if_cancelled()
            try:
                if not position:
                    await self._tell_again()
                    # First: what is revoked during the look is in the stream behind this.
                    newest = await self._newest()
                    async for known in self._in_force():
                        yield known
                    position = newest
                    self._set_informed(True)
                async with asyncio.timeout(self._timeout_s + BLOCK_MS / 1000):
                    answer = await self._reader.xread({STREAM: position}, BATCH, BLOCK_MS)
            except FAILURES as error:
                position = ""
                self._set_informed(False, self._reason(error))
                await asyncio.sleep(RETRY_S)
                continue
            for _, entries in answer or ():
                for position, fields in entries:  # noqa: B007 (read on behind the last one)
                    if (revocation := _revocation(fields)) is not None:
                        yield revocation

    async def _newest(self) -> str:
        """Where the stream ends now."""
        async with asyncio.timeout(self._timeout_s):
            entries = await self._client.xrevrange(STREAM, count=1)
        return str(entries[0][0]) if entries else "0-0"

    async def _in_force(self) -> AsyncIterator[Revocation]:
        """What the keys say, whoever has written them. Each answer is bounded, and is waited for
        as long as any other; nobody waits for all of them.
        """
        names: list[str] = []
        async for key in self._client.scan_iter(match=f"{BLACKLIST}*", count=BATCH):
            names.append(key.removeprefix(BLACKLIST))
            if len(names) == BATCH:
                for revocation in await self._read(names):
                    yield revocation
                names = []
        for revocation in await self._read(names):
            yield revocation

    async def _read(self, names: list[str]) -> list[Revocation]:
        if not names:
            return []
        pipeline = self._client.pipeline(transaction=False)
        for name in names:
            pipeline.get(f"{BLACKLIST}{name}")
            pipeline.ttl(f"{BLACKLIST}{name}")
        async with asyncio.timeout(self._timeout_s + 1.0):
            answers = await pipeline.execute()
        now_s = int(time.time())
        return [
            _blacklisted(name, value, now_s + 1 + (ttl_s if ttl_s >= 0 else LONGEST_S))
            for name, value, ttl_s in zip(names, answers[::2], answers[1::2], strict=True)
            if value is not None
        ]

    async def _tell_again(self) -> None:
        """Redis is back, perhaps empty, perhaps without what was said last."""
        now_s = time.time()
        self._own = {name: r for name, r in self._own.items() if r.until_s > now_s}
        waiting = list(self._own.values())
        for begin in range(0, len(waiting), BATCH):
            async with asyncio.timeout(self._timeout_s + 1.0):
                await self._tell(waiting[begin : begin + BATCH])

    async def _tell(self, revocations: list[Revocation]) -> None:
        now_s = int(time.time())
        oldest = (now_s - RETENTION_S) * 1000
        pipeline = self._client.pipeline(transaction=False)
        for each in revocations:
            ttl_s = max(each.until_s - now_s, 1)
            if each.kind == "session":
                pipeline.set(f"{BLACKLIST}{each.name}", "revoked", ex=ttl_s)
            else:
                pipeline.set(f"{BLACKLIST}{each.kind}:{each.name}", each.before_s, ex=ttl_s)
            fields = {"kind": each.kind, "name": each.name, "before": each.before_s}
            pipeline.xadd(STREAM, fields | {"until": each.until_s}, minid=oldest)
        await pipeline.execute()

    def _reason(self, error: Exception) -> str:
        if isinstance(error, TimeoutError) and not str(error):  # asyncio's: it says nothing else
            return f"no answer in time (state.timeout: {1000 * self._timeout_s:.0f} ms)"
        return str(error) or type(error).__name__

    def _set_informed(self, informed: bool, reason: str = "") -> None:
        if not informed and self.available:
            self.failures += 1
            log.error("Redis is away: %s", reason)
        elif informed and not self.available:
            log.info("Redis is back")
        before = (self.informed, self.available)
        self.informed = self.available = informed
        if before != (informed, informed):
            self.on_change()


def _blacklisted(name: str, value: str, until_s: int) -> Revocation:
    kind, colon, rest = name.partition(":")
    if colon and kind in ("user", "client", "key") and value.isdigit():
        return Revocation(kind, rest, int(value), until_s)  # type: ignore[arg-type]
    return Revocation("session", name, until_s, until_s)


def _revocation(fields: Mapping[str, str]) -> Revocation | None:
    """None for an entry that somebody else has written."""
    try:
        times = int(fields["before"]), int(fields["until"])
        kind = fields["kind"]
        if kind in ("session", "user", "client", "key"):
            return Revocation(kind, fields["name"], *times)  # type: ignore[arg-type]
    except (KeyError, ValueError):
        pass
    return None


def _end_if_cancelled() -> None:
    """The client sends under ``asyncio.wait_for``, which up to Python 3.11 may swallow the end."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
