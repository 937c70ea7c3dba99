"""Finds out who is calling: what the data plane awaits for a credential that it has not seen yet.

It answers within seconds whatever happens, with a caller or with the code of a refusal. Why exactly
is in the log, never the credential itself. Whether a caller has been revoked is looked at on each
request, where he is remembered (`cext/authentication.pyx`).
"""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from gateway.channel import Message
from gateway.identity.authority import (
    AUTHORITY_SOCKET,
    WAIT_S,
    Authority,
    AuthorityUnavailable,
    KeyRecord,
    Report,
)
from gateway.identity.caller import Caller
from gateway.identity.keys import matches, parse_key
from gateway.identity.reasons import CODES
from gateway.identity.tokens import fingerprint_claim
from gateway.identity.trust import Trust
from gateway.identity.verifier import Rejected, Verifier

__all__ = ["Authenticator"]

KEY_FRESH_S = 60
"""How long what is known of an API key is used unasked: the bound if news of a change is lost."""
REFRESH_COOLDOWN_S = 10.0
"""Between two questions for keys that are not there: anybody can invent a ``kid``."""
LOGGED_PER_S = 20
"""Refusals whose reasons are logged; a flood of bad credentials must not become one of lines."""

log = logging.getLogger(__name__)


class Authenticator:
    """One for each worker."""

    def __init__(
        self,
        run_dir: Path,
        on_change: Callable[[], None],
        *,
        clock: Callable[[], float] = time.time,
        wait_s: float = WAIT_S,
    ) -> None:
        """``on_change``: what has been verified so far may no longer hold; verify it anew."""
        self._on_change = on_change
        self._epoch = 0
        """Grows when what was verified before may no longer hold."""
        self._clock = clock
        self._wait_s = wait_s
        self._authority = Authority(
            run_dir / AUTHORITY_SOCKET, self._trust_changed, self._forget, wait_s=wait_s
        )
        self._verifier: Verifier | None = None
        self._revocations_known = True
        self._trusted = asyncio.Event()
        self._refreshed: dict[str, float] = {}
        self._logged_second = 0
        self._logged = 0

    def start(self) -> None:
        """Connect to the control process, in the background."""
        self._authority.start()

    async def close(self) -> None:
        """Stop."""
        await self._authority.close()

    def report(self, kind: Report, rows: list[tuple[str, str, int]]) -> bool:
        """Tell what was counted; False if nobody can be told now. See `Authority.report`."""
        return not rows or self._authority.report(kind, rows)

    async def authenticate(
        self,
        kind: Literal["jwt", "api_key"],
        credential: bytes,
        peer: str,
        fingerprint: str | None = None,
    ) -> Caller | str:
        """The caller, or the code of a refusal (``gateway.identity.reasons``).

        ``peer`` is for the log. ``fingerprint`` is what a client shows with a token that is bound
        to it.
        """
        look = self._token if kind == "jwt" else self._api_key
        epoch = self._epoch
        found = await look(credential)
        if epoch != self._epoch:  # something changed meanwhile; it would be remembered too long
            found = await look(credential)
        if isinstance(found, Caller):
            if not _is_bound_elsewhere(found, fingerprint):
                return found
            found = Rejected("token_binding", found.issuer)
        self._log(kind, found, peer)
        return CODES[found.reason]

    # --- tokens ------------------------------------------------------------------------------

    async def _token(self, token: bytes) -> Caller | Rejected:
        verifier = await self._ready()
        if verifier is None or not self._revocations_known:
            return Rejected("authentication_unavailable")
        found = verifier.verify(token, int(self._clock()))
        if not isinstance(found, Rejected) or found.reason != "token_key_unknown":
            return found
        return await self._with_newer_keys(token, found)

    async def _ready(self) -> Verifier | None:
        """The verifier; a worker that has just started waits for its first keys."""
        if self._verifier is None:
            try:
                async with asyncio.timeout(self._wait_s):
                    await self._trusted.wait()
            except TimeoutError:
                return None
        return self._verifier

    async def _with_newer_keys(self, token: bytes, refused: Rejected) -> Caller | Rejected:
        """The key may be newer than what we know; ask, but not for each invented one."""
        issuer = refused.issuer
        assert issuer is not None  # its keys were looked at
        now = time.monotonic()
        if now < self._refreshed.get(issuer, -REFRESH_COOLDOWN_S) + REFRESH_COOLDOWN_S:
            return refused
        try:
            await self._authority.refresh(issuer)
        except AuthorityUnavailable:
            return Rejected("authentication_unavailable", issuer)
        self._refreshed[issuer] = now
        assert self._verifier is not None  # it refused
        return self._verifier.verify(token, int(self._clock()))

    def _trust_changed(self, message: Message) -> None:
        trust = Trust.from_message(message)
        self._verifier = trust.verifier()
        self._revocations_known = trust.revocations_known
        self._trusted.set()
        self._forget()

    def _forget(self) -> None:
        self._epoch += 1
        self._on_change()

    # --- API keys ----------------------------------------------------------------------------

    async def _api_key(self, credential: bytes) -> Caller | Rejected:
        parsed = parse_key(credential.decode("latin-1"))
        if parsed is None:
            return Rejected("api_key_malformed")
        key_id, digest = parsed
        try:
            record = await self._authority.api_key(key_id)
        except AuthorityUnavailable:
            return Rejected("authentication_unavailable")
        now_s = int(self._clock())
        if record is None:
            return Rejected("api_key_unknown")
        return _caller(key_id, digest, record, now_s)

    # --- log ---------------------------------------------------------------------------------

    def _log(self, kind: str, refused: Rejected, peer: str) -> None:
        second = int(time.monotonic())
        if second != self._logged_second:
            if self._logged > LOGGED_PER_S:
                log.info("%d more credentials were refused", self._logged - LOGGED_PER_S)
            self._logged_second, self._logged = second, 0
        self._logged += 1
        if self._logged <= LOGGED_PER_S:
            facts = {"reason": refused.reason, "issuer": refused.issuer, "peer": peer}
            log.info("%s refused", kind, extra=facts)


def _is_bound_elsewhere(caller: Caller, fingerprint: str | None) -> bool:
    """Whether the token holds only beside another fingerprint than what was shown."""
    bound = caller.claims.get("client_fingerprint")
    return bound is not None and (fingerprint is None or bound != fingerprint_claim(fingerprint))


def _caller(key_id: str, digest: bytes, record: KeyRecord, now_s: int) -> Caller | Rejected:
    """The owner of the key, if it is this key and it counts now."""
    counting = [until_s for stored, until_s in record.digests if matches(stored, digest)]
    if not counting:
        return Rejected("api_key_unknown")  # its id alone is no secret
    if record.state == "revoked":
        return Rejected("api_key_revoked")
    ends = [end for end in (record.expires_s, counting[0]) if end is not None]
    if record.state == "expired" or min(ends, default=now_s + 1) <= now_s:
        return Rejected("api_key_expired")
    return Caller(
        user=record.user,
        client=record.client,
        key=key_id,
        session="",
        issuer="",
        scopes=record.scopes,
        claims={},
        expires_s=min([now_s + KEY_FRESH_S, *ends]),
        issued_s=now_s,
        rate_limit_policy=record.rate_limit_policy,
    )
