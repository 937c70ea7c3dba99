"""A worker's line to the control process, which alone has the database and fetches keys.

A Unix socket with the frames of ``gateway.channel``:

======= =============== ============================================================
from    ``type``        fields
======= =============== ============================================================
control ``trust``       issuers, …: see ``gateway.identity.trust``; at once, and when it changes
control ``forget``      what is cached of credentials may be out of date
control ``answer``      id, known: false if it cannot be known now; record: of ``api_key``: see
                        `KeyRecord`, or null
worker  ``api_key``     id, key: what is known of this id?
worker  ``refresh``     id, issuer: fetch its keys anew, if that is due
worker  ``usage``       rows: lists of key's id, route, number of requests
worker  ``refused``     rows: lists of a rate limit's policy, caller, number of requests
======= =============== ============================================================

Whatever happens to the control process, nobody here waits longer than `WAIT_S`.
"""

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gateway.channel import ChannelProtocol, Message

__all__ = ["AUTHORITY_SOCKET", "Authority", "AuthorityUnavailable", "KeyRecord", "Report"]

Report = Literal["usage", "refused"]

AUTHORITY_SOCKET = "authority.sock"
"""In the instance's run_dir."""

WAIT_S = 1.0
"""Longest wait for an answer: a restart of the control process fits into it."""
FETCH_WAIT_S = 2.5
"""The same where control may have to fetch keys first, which it does within 2 s."""
RECONNECT_S = 0.1
UNKNOWN_S = 1.0
"""How long a key that does not exist is remembered as such: it may be made at any moment."""
MAX_UNKNOWN = 10_000

log = logging.getLogger(__name__)


class AuthorityUnavailable(Exception):
    """The control process did not answer in time."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What control knows of an API key."""

    digests: list[tuple[bytes, int | None]]
    """Digest and the Unix time until which it counts; None for ever."""
    state: str
    """``active``, ``revoked`` (or its owner or client is disabled), ``expired``."""
    user: str
    client: str
    """Empty if it belongs to none."""
    scopes: frozenset[str]
    expires_s: int | None
    rate_limit_policy: str

    def to_message(self) -> dict[str, Any]:
        """For the socket; ``from_message`` is the way back."""
        return {
            "digests": [[digest.hex(), until_s] for digest, until_s in self.digests],
            "state": self.state,
            "user": self.user,
            "client": self.client,
            "scopes": sorted(self.scopes),
            "expires_s": self.expires_s,
            "rate_limit_policy": self.rate_limit_policy,
        }

    @classmethod
    def from_message(cls, fields: dict[str, Any]) -> "KeyRecord":
        """The record that ``to_message`` described."""
        digests = [(bytes.fromhex(digest), until_s) for digest, until_s in fields["digests"]]
        scopes = frozenset(fields["scopes"])
        return cls(**{**fields, "digests": digests, "scopes": scopes})


class Authority:
    """Asks; connects again whenever the line is lost."""

    def __init__(
        self,
        path: Path,
        on_trust: Callable[[Message], None],
        on_forget: Callable[[], None],
        *,
        wait_s: float = WAIT_S,
    ) -> None:
        self._path = path
        self._on_trust = on_trust
        self._on_forget = on_forget
        self._wait_s = wait_s
        self._line: ChannelProtocol | None = None
        self._connected = asyncio.Event()
        self._lost = asyncio.Event()
        self._ids = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._asked: dict[tuple[str, str], asyncio.Task[Any]] = {}
        self._unknown: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect, in the background."""
        self._task = asyncio.get_running_loop().create_task(self._stay_connected())

    async def close(self) -> None:
        """Hang up."""
        tasks = [*self._asked.values(), *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._line is not None:
            self._line.close()

    async def api_key(self, key_id: str) -> KeyRecord | None:
        """What is known of a key; None if there is none. AuthorityUnavailable."""
        if self._unknown.get(key_id, 0.0) > time.monotonic():
            return None
        answer = await self._ask("api_key", key_id, self._wait_s, key=key_id)
        if answer["record"] is not None:
            return KeyRecord.from_message(answer["record"])
        if len(self._unknown) >= MAX_UNKNOWN:
            self._unknown.clear()
        self._unknown[key_id] = time.monotonic() + UNKNOWN_S
        return None

    async def refresh(self, issuer: str) -> None:
        """Let control look for newer keys; if there are, ``on_trust`` has been called."""
        await self._ask("refresh", issuer, max(FETCH_WAIT_S, self._wait_s), issuer=issuer)

    def report(self, kind: Report, rows: list[tuple[str, str, int]]) -> bool:
        """Tell what was counted; False if there is no line now.

        ``usage``: API key, route, requests. ``refused``: policy of a rate limit, caller, requests.
        """
        if self._line is None:
            return False
        self._line.send({"type": kind, "rows": rows})
        return True

    async def _ask(self, type_: str, subject: str, wait_s: float, **fields: Any) -> Message:
        """One question for all who ask the same at the same time."""
        running = self._asked.get((type_, subject))
        if running is None:
            question = self._answered({"type": type_, **fields}, wait_s)
            running = asyncio.get_running_loop().create_task(question)
            self._asked[type_, subject] = running
            running.add_done_callback(lambda _: self._asked.pop((type_, subject), None))
        # Shielded: who goes away must not take the answer from the others.
        answer: Message = await asyncio.shield(running)
        if not answer["known"]:
            raise AuthorityUnavailable("the control process cannot know it now")
        return answer

    async def _answered(self, question: Message, wait_s: float) -> Message:
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    await self._connected.wait()
                    with contextlib.suppress(ConnectionError):  # asked again on the next line
                        return await self._exchange(question)
        except TimeoutError:
            raise AuthorityUnavailable("the control process does not answer") from None

    async def _exchange(self, question: Message) -> Message:
        number = next(self._ids)
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            assert self._line is not None  # as long as `_connected` is set
            self._line.send({**question, "id": number})
            return await answer
        finally:
            del self._waiting[number]

    async def _stay_connected(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._lost.clear()
            try:
                _, line = await loop.create_unix_connection(self._new_line, str(self._path))
            except OSError:
                await asyncio.sleep(RECONNECT_S)
                continue
            self._line = line
            self._connected.set()
            await self._lost.wait()

    def _new_line(self) -> ChannelProtocol:
        return ChannelProtocol(self._on_message, self._on_lost)

    def _on_message(self, message: Message) -> None:
        match message["type"]:
            case "trust":
                self._on_trust(message)
            case "forget":
                self._unknown.clear()
                self._on_forget()
            case "answer":
                answer = self._waiting.get(message["id"])
                if answer is not None and not answer.done():
                    answer.set_result(message)

    def _on_lost(self) -> None:
        self._line = None
        self._connected.clear()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ConnectionError("the line to the control process is lost"))
        self._lost.set()
