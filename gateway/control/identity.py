"""Identity in the control process: logins for clients, keys and answers for workers.

Everything that outlives a reload is made once; the service is made anew with each configuration.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.config.auth import Auth
from gateway.config.internal import IDENTITY_SOCKET
from gateway.config.state import State as StateSection
from gateway.config.state import state_target
from gateway.control.authority import AuthorityServer
from gateway.control.identity_metrics import identity_families
from gateway.control.key_records import KeyRecords
from gateway.control.login_app import LoginApp
from gateway.control.refused_callers import RefusedCallers
from gateway.control.serve import serve
from gateway.control.unix_socket import bind_unix
from gateway.identity.authority import AUTHORITY_SOCKET
from gateway.identity.deny_list import DENY_LIST_FILE, DenyList
from gateway.identity.own_keys import OwnKeys
from gateway.identity.providers import KeySets
from gateway.identity.public_keys import KeptKeys
from gateway.identity.revocation import Revoker
from gateway.identity.service import (
    OWN_NAME,
    IdentityService,
    Parts,
    providers_of,
    token_life_s,
)
from gateway.identity.trust import Trust
from gateway.listener import Listener
from gateway.state.guarded import GuardedState, Stance
from gateway.state.interface import Space, State
from gateway.state.local import LocalState
from gateway.telemetry.metrics import Family

if TYPE_CHECKING:
    from gateway._core import Segment
    from gateway.state.redis import RedisState
    from gateway.store.changes import StoreVersion
    from gateway.store.store import Store

__all__ = ["Identity"]

KEYS_EVERY_S = 60.0
"""Between two looks at our signing keys: whether one is due, or another host has replaced one."""
RETRY_S = 1.0
FORGET_EVERY_S = 3600.0
"""Between two looks for sessions that are over."""
FORGET_AFTER = timedelta(days=1)
"""A token may outlive its session by minutes, and what revoked it must be found until then."""

log = logging.getLogger(__name__)


class Identity:
    """Runs beside admin and status port."""

    def __init__(
        self,
        run_dir: Path,
        segment: "Segment",
        store: "Callable[[], Store]",
        store_url: str,
        state: StateSection,
        auth: Auth,
        trusted_proxies: Sequence[str],
    ) -> None:
        """``store`` raises StoreUnavailable while there is none."""
        self._run_dir = run_dir
        self._store = store
        self._auth = auth
        self._closed_without_state = state.when_away.revocations == "fail_closed"
        self._state, self._redis = _open_state(state)
        if self._redis is not None:
            self._redis.on_change = self._trust_changed
        keys = OwnKeys(store, kept=KeptKeys(run_dir, store_url))
        key_sets = KeySets(self._trust_changed)
        self.revoker = Revoker(
            segment,
            self._state,
            lambda: token_life_s(self._auth),
            deny_list=DenyList(run_dir / DENY_LIST_FILE),
        )
        self._parts = Parts(store, self._state, segment, keys, key_sets, self.revoker)
        self._service = IdentityService(self._parts, auth, trusted_proxies)
        self._refused = RefusedCallers()
        self._records = KeyRecords(store, self._state)
        self._app = LoginApp(lambda: self._service)
        self._authority = AuthorityServer(
            run_dir / AUTHORITY_SOCKET,
            trust=self._trust,
            api_key=self._records.find,
            refresh=self._refresh,
            reports={"usage": self._records.used, "refused": self._refused.count},
        )
        self._version: StoreVersion | None = None
        self._woken = asyncio.Event()
        self._forget_at = 0.0

    def apply(self, auth: Auth, trusted_proxies: Sequence[str]) -> None:
        """Go by another configuration."""
        before, self._auth = self._service, auth
        self._service = IdentityService(self._parts, auth, trusted_proxies)
        asyncio.get_running_loop().run_in_executor(None, before.close)  # waits for running hashes
        self._parts.key_sets.configure(providers_of(auth))
        self._woken.set()
        self._trust_changed()

    def on_store_version(self, version: "StoreVersion") -> None:
        """The store has changed, here or elsewhere."""
        before, self._version = self._version, version
        self._records.version = version.credentials
        if before is None or before.credentials != version.credentials:
            self._authority.forget()
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled, or until something fails that should not."""
        self._parts.key_sets.configure(providers_of(self._auth))
        work: list[Awaitable[None]] = [
            self._authority.run(),
            self._parts.key_sets.run(),
            self.revoker.follow_state(),
            self._follow_store(),
            self._records.run(),
        ]
        if self._auth.enabled:
            sock = bind_unix(self._run_dir / IDENTITY_SOCKET)
            listener = Listener(IDENTITY_SOCKET, [sock], str(self._run_dir / IDENTITY_SOCKET), 0)
            work.append(serve(self._app.asgi(), listener))
        tasks = [asyncio.ensure_future(each) for each in work]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()  # once: what ends orderly must not be interrupted in it
            results = await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(self._service.close)
            await self._state.close()
        for result in results:
            if isinstance(result, Exception):
                raise result

    @property
    def state(self) -> State:
        """What all hosts share; open until `run` has ended."""
        return self._state

    def families(self) -> list[Family]:
        """For the metrics."""
        redis = self._redis
        state = None if redis is None else (redis.available, redis.failures)
        families = identity_families(self._app.results, self._parts.key_sets.failures, state)
        return [*families, *self._refused.families()]

    def _trust(self) -> Trust:
        if not self._closed_without_state:
            known = True
        elif self._redis is not None:
            known = self._redis.informed
        else:
            known = self.revoker.has_followed_store
        return self._service.trust(known)

    def _trust_changed(self) -> None:
        self._authority.trust_changed()

    async def _refresh(self, issuer: str) -> None:
        """A worker has seen a key that it does not know."""
        if issuer == OWN_NAME:
            await self._load_keys()
        else:
            await self._parts.key_sets.refresh(issuer)

    async def _follow_store(self) -> None:
        """Signing keys and ended sessions: when the store has changed, and from time to time."""
        from gateway.store.errors import StoreUnavailable

        while True:
            self._woken.clear()
            pause_s = KEYS_EVERY_S
            try:
                version = self._version
                if version is not None:
                    followed = self.revoker.has_followed_store
                    await self.revoker.follow_store(self._store(), version.sessions)
                    if not followed:
                        self._trust_changed()
                    await self._load_keys()
                    await self._forget_sessions()
            except StoreUnavailable:
                pause_s = RETRY_S  # the link to the store tells the log
            try:
                async with asyncio.timeout(pause_s):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _forget_sessions(self) -> None:
        """Once an hour, those that were over a day ago: no token of theirs is good any more."""
        now = time.monotonic()
        if now < self._forget_at:
            return
        self._forget_at = now + FORGET_EVERY_S
        gone = await self._store().sessions.purge_expired(datetime.now(UTC) - FORGET_AFTER)
        if gone:
            log.info("%d sessions that are over have been forgotten", gone)

    async def _load_keys(self) -> None:
        before = self._parts.keys.jwks()
        await self._parts.keys.load(self._service.rotation)
        if self._parts.keys.jwks() != before:
            self._trust_changed()


def _open_state(section: StateSection) -> "tuple[State, RedisState | None]":
    target = state_target(section.url)
    if target.kind == "memory":
        return LocalState(), None
    from gateway.state.connect import connect_redis

    redis = connect_redis(target, section.timeout)
    away = section.when_away
    stances: dict[Space, Stance] = {
        "api_keys": "fail_open",  # the store knows
        "circuit_breaker": "fail_closed",  # each host goes by its own
        "codes": away.codes,
        "logins": away.logins,
    }
    return GuardedState(redis, LocalState(), stances), redis
