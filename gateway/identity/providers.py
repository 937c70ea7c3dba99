"""The key sets of other issuers: fetched by the control process, kept, and kept on in an outage.

A set is fetched again when its time is over, and at once when a token names a key that is not in
it, though no more often than every ten seconds: anybody can invent names of keys.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.identity.fetch import Fetched, FetchError, fetch
from gateway.identity.jwks import parse_jwk_set
from gateway.identity.strict_json import loads_object

__all__ = ["KeySets", "Provider"]

MIN_REFRESH_S = 60
"""However short an issuer says its set is good."""
MAX_REFRESH_S = 3600
"""However long."""
DEFAULT_REFRESH_S = 600
RETRY_S = 15
"""After a failure. The old set stays in use: an issuer's outage is not ours."""
COOLDOWN_S = 10.0
"""Between two fetches that unknown keys ask for."""

Fetch = Callable[..., Awaitable[Fetched]]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Provider:
    """Where an issuer's keys are."""

    name: str
    issuer: str
    jwks_url: str | None
    discovery: str | None
    allow_private: bool


class _KeySet:
    """One issuer's."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.jwks: Sequence[Mapping[str, Any]] = ()
        self.etag: str | None = None
        self.due = 0.0
        """Monotonic time of the next fetch."""
        self.tried = -COOLDOWN_S
        self.fetching: asyncio.Task[None] | None = None


class KeySets:
    """All other issuers' key sets."""

    def __init__(
        self,
        on_change: Callable[[], None],
        *,
        fetch: Fetch = fetch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``on_change``: a set has other keys than before."""
        self._on_change = on_change
        self._fetch = fetch
        self._clock = clock
        self._sets: dict[str, _KeySet] = {}
        self._changed = asyncio.Event()
        self.failures: dict[str, int] = {}
        """Name → fetches that failed."""

    def configure(self, providers: Iterable[Provider]) -> None:
        """Use these from now on. A set whose source has not changed is kept."""
        wanted = {provider.name: provider for provider in providers}
        kept = {n: s for n, s in self._sets.items() if wanted.get(n) == s.provider}
        self._sets = {n: kept.get(n) or _KeySet(provider) for n, provider in wanted.items()}
        self._changed.set()

    def jwks(self, name: str) -> Sequence[Mapping[str, Any]]:
        """The usable public keys of an issuer, as far as they are known."""
        found = self._sets.get(name)
        return found.jwks if found is not None else ()

    async def run(self) -> None:
        """Fetch what is due, until cancelled."""
        while True:
            self._changed.clear()
            now = self._clock()
            due = [key_set for key_set in self._sets.values() if key_set.due <= now]
            await asyncio.gather(*[self._once(key_set) for key_set in due])
            ends = [key_set.due for key_set in self._sets.values()]
            pause_s = max(min(ends, default=self._clock() + MAX_REFRESH_S) - self._clock(), 0.1)
            try:
                async with asyncio.timeout(pause_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def refresh(self, name: str) -> None:
        """A token names a key that is not in the set. Returns when that has been looked into."""
        key_set = self._sets.get(name)
        if key_set is None:
            return
        if key_set.fetching is None and self._clock() < key_set.tried + COOLDOWN_S:
            return
        await self._once(key_set)

    async def _once(self, key_set: _KeySet) -> None:
        """One fetch for all who want it at the same time."""
        if key_set.fetching is None:
            key_set.fetching = asyncio.create_task(self._update(key_set))
        await asyncio.shield(key_set.fetching)

    async def _update(self, key_set: _KeySet) -> None:
        name = key_set.provider.name
        key_set.tried = self._clock()
        try:
            fetched = await self._fetch_keys(key_set)
            jwks = parse_jwk_set(fetched.body) if fetched.status == 200 else key_set.jwks
        except (FetchError, ValueError) as error:
            self.failures[name] = self.failures.get(name, 0) + 1
            key_set.due = self._clock() + RETRY_S
            log.warning("keys of %s: %s", name, error)
            return
        finally:
            key_set.fetching = None
        wished = DEFAULT_REFRESH_S if fetched.max_age_s is None else fetched.max_age_s
        lasts_s = min(max(wished, MIN_REFRESH_S), MAX_REFRESH_S)
        # Spread, so that a hundred hosts do not ask in the same second.
        key_set.due = self._clock() + lasts_s * random.uniform(0.9, 1.0)
        key_set.etag = fetched.etag
        if jwks != key_set.jwks:
            key_set.jwks = jwks
            log.info("keys of %s: %d usable", name, len(jwks))
            self._on_change()

    async def _fetch_keys(self, key_set: _KeySet) -> Fetched:
        provider = key_set.provider
        url = provider.jwks_url
        if url is None:
            url = await self._discover(provider)
        return await self._fetch(url, etag=key_set.etag, allow_private=provider.allow_private)

    async def _discover(self, provider: Provider) -> str:
        """OpenID Connect Discovery 1.0 §4.3: the document must be about this very issuer."""
        assert provider.discovery is not None  # the configuration has one or the other
        found = await self._fetch(provider.discovery, allow_private=provider.allow_private)
        document = loads_object(found.body)
        url = document.get("jwks_uri")
        if document.get("issuer") != provider.issuer:
            raise ValueError("the discovery document is about another issuer")
        secure = isinstance(url, str) and url.startswith("https://")
        # Without TLS only where the configuration has none either, and from the same place.
        same_place = isinstance(url, str) and _origin(url) == _origin(provider.discovery)
        if not isinstance(url, str) or not (secure or same_place):
            raise ValueError("the discovery document names no https URL of keys")
        return url


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"
