import asyncio
import contextlib
import json
from typing import Any

import pytest

from gateway.identity.fetch import Fetched, FetchError
from gateway.identity.jwks import public_jwks
from gateway.identity.providers import COOLDOWN_S, KeySets, Provider
from tests.unit.identity.forge import EC_KEY, ED_KEY

IDP = Provider("idp", "https://idp.example", "https://idp.example/jwks", None, False)
DISCOVERED = Provider("idp", "https://idp.example", None, "https://idp.example/.well-known", False)


def document(*keys: Any) -> bytes:
    return json.dumps({"keys": [key.public_jwk for key in keys]}).encode()


class Origin:
    """What is fetched, and a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.answers: dict[str, Fetched | Exception] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.changes = 0
        self.delay_s = 0.0
        self.sets = KeySets(self._changed, fetch=self._fetch, clock=lambda: self.now)

    def _changed(self) -> None:
        self.changes += 1

    async def _fetch(self, url: str, *, etag: str | None = None, allow_private: bool) -> Fetched:
        self.asked.append((url, etag))
        await asyncio.sleep(self.delay_s)
        answer = self.answers.get(url, FetchError("status 404"))
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
async def origin() -> Origin:
    return Origin()


async def refresh(origin: Origin, after_s: float = COOLDOWN_S) -> None:
    origin.now += after_s
    await origin.sets.refresh("idp")


async def test_keys_are_fetched(origin: Origin) -> None:
    origin.answers[IDP.jwks_url or ""] = Fetched(200, document(EC_KEY), '"1"')
    origin.sets.configure([IDP])
    assert origin.sets.jwks("idp") == ()
    await refresh(origin)
    assert origin.sets.jwks("idp") == public_jwks([EC_KEY.public_jwk])
    assert origin.changes == 1
    assert origin.sets.jwks("other") == ()


async def test_invented_kids_make_no_storm(origin: Origin) -> None:
    origin.answers[IDP.jwks_url or ""] = Fetched(200, document(EC_KEY))
    origin.sets.configure([IDP])
    await refresh(origin)
    for _ in range(1000):
        await refresh(origin, 0.009)
    assert len(origin.asked) == 1
    await refresh(origin)
    assert len(origin.asked) == 2
    await origin.sets.refresh("nobody")


async def test_one_fetch_for_all_who_ask(origin: Origin) -> None:
    origin.delay_s = 0.05
    origin.answers[IDP.jwks_url or ""] = Fetched(200, document(EC_KEY))
    origin.sets.configure([IDP])
    await asyncio.gather(*[origin.sets.refresh("idp") for _ in range(20)])
    assert len(origin.asked) == 1
    assert origin.sets.jwks("idp")


async def test_the_tag_spares_what_is_known(origin: Origin) -> None:
    url = IDP.jwks_url or ""
    origin.answers[url] = Fetched(200, document(EC_KEY), '"1"')
    origin.sets.configure([IDP])
    await refresh(origin)
    origin.answers[url] = Fetched(304, b"", '"1"')
    await refresh(origin)
    assert origin.asked[-1] == (url, '"1"')
    assert origin.sets.jwks("idp") == public_jwks([EC_KEY.public_jwk])
    assert origin.changes == 1


@pytest.mark.parametrize(
    "failure",
    [
        FetchError("no whole answer within 2 s"),
        Fetched(200, b"<html>"),
        Fetched(200, b'{"keys":7}'),
    ],
)
async def test_an_outage_of_the_issuer_is_not_ours(origin: Origin, failure: Any) -> None:
    url = IDP.jwks_url or ""
    origin.answers[url] = Fetched(200, document(EC_KEY))
    origin.sets.configure([IDP])
    await refresh(origin)
    origin.answers[url] = failure
    await refresh(origin)
    assert origin.sets.jwks("idp") == public_jwks([EC_KEY.public_jwk])
    assert origin.sets.failures == {"idp": 1}
    origin.answers[url] = Fetched(200, document(ED_KEY))
    await refresh(origin)
    assert origin.sets.jwks("idp") == public_jwks([ED_KEY.public_jwk])


async def test_it_fetches_by_itself_and_again_in_time(origin: Origin) -> None:
    origin.answers[IDP.jwks_url or ""] = Fetched(200, document(EC_KEY), max_age_s=0)
    origin.sets.configure([IDP])
    running = asyncio.create_task(origin.sets.run())
    await asyncio.sleep(0.05)
    assert len(origin.asked) == 1
    origin.now += 30  # less than the least time between two
    await asyncio.sleep(0.15)
    assert len(origin.asked) == 1
    origin.now += 31
    origin.sets.configure([IDP])  # wakes it
    await asyncio.sleep(0.05)
    assert len(origin.asked) == 2
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_a_set_outlives_a_reload_unless_its_source_changes(origin: Origin) -> None:
    origin.answers[IDP.jwks_url or ""] = Fetched(200, document(EC_KEY))
    origin.sets.configure([IDP])
    await refresh(origin)
    origin.sets.configure([IDP])
    assert origin.sets.jwks("idp")
    origin.sets.configure([DISCOVERED])
    assert origin.sets.jwks("idp") == ()


async def test_discovery(origin: Origin) -> None:
    found = {"issuer": "https://idp.example", "jwks_uri": "https://keys.example/all"}
    origin.answers[DISCOVERED.discovery or ""] = Fetched(200, json.dumps(found).encode())
    origin.answers["https://keys.example/all"] = Fetched(200, document(EC_KEY))
    origin.sets.configure([DISCOVERED])
    await refresh(origin)
    assert origin.sets.jwks("idp")


@pytest.mark.parametrize(
    "found",
    [
        {"issuer": "https://idp.example/", "jwks_uri": "https://keys.example/all"},
        {"issuer": "https://evil.example", "jwks_uri": "https://keys.example/all"},
        {"jwks_uri": "https://keys.example/all"},
        {"issuer": "https://idp.example"},
        {"issuer": "https://idp.example", "jwks_uri": "http://keys.example/all"},
        {"issuer": "https://idp.example", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "https://idp.example", "jwks_uri": ["https://keys.example/all"]},
    ],
)
async def test_discovery_is_about_this_issuer(origin: Origin, found: Any) -> None:
    origin.answers[DISCOVERED.discovery or ""] = Fetched(200, json.dumps(found).encode())
    origin.answers["https://keys.example/all"] = Fetched(200, document(EC_KEY))
    origin.answers["http://keys.example/all"] = Fetched(200, document(EC_KEY))
    origin.sets.configure([DISCOVERED])
    await refresh(origin)
    assert origin.sets.jwks("idp") == ()
    assert origin.sets.failures == {"idp": 1}
