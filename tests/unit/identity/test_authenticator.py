"""A worker's side, with control's side of the socket behind it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.control.authority import AuthorityServer
from gateway.identity.authenticator import Authenticator
from gateway.identity.authority import AUTHORITY_SOCKET, KeyRecord
from gateway.identity.caller import Caller
from gateway.identity.keys import new_key
from gateway.identity.tokens import fingerprint_claim
from gateway.identity.trust import Trust, TrustedIssuer
from gateway.identity.verifier import Issuer
from tests.unit.identity.forge import (
    AUDIENCE,
    EC_KEY,
    FOREIGN,
    NOW,
    OWN,
    OWN_KEY,
    STRANGER,
    foreign_token,
    own_token,
)

KEY = new_key()


def record(**changes: Any) -> KeyRecord:
    fields: dict[str, Any] = {
        "digests": [(KEY.digest, None)], "state": "active", "user": "u-1",
        "client": "shop", "scopes": frozenset({"read"}), "expires_s": None,
        "rate_limit_policy": "gold",
    } | changes  # fmt: skip
    return KeyRecord(**fields)


class Control:
    """Control's side, which can be started, stopped and asked what it was asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.keys = [OWN_KEY.public_jwk]
        self.revocations_known = True
        self.records: dict[str, KeyRecord] = {KEY.id: record()}
        self.asked: list[str] = []
        self.newer_keys: list[dict[str, Any]] = []
        self.broken = False
        self.delay_s = 0.0
        self.uses: list[list[Any]] = []
        self.refused: list[list[Any]] = []
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.server = AuthorityServer(
            self.path / AUTHORITY_SOCKET,
            trust=self.trust,
            api_key=self.api_key,
            refresh=self.refresh,
            reports={"usage": self.uses.extend, "refused": self.refused.extend},
        )
        self._task = asyncio.create_task(self.server.run())
        while not (self.path / AUTHORITY_SOCKET).exists():
            await asyncio.sleep(0.001)

    async def stop(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        (self.path / AUTHORITY_SOCKET).unlink()

    def trust(self) -> Trust:
        own = Issuer("gateway", OWN, frozenset({AUDIENCE}), frozenset({"RS256"}), own=True)
        idp = Issuer("idp", FOREIGN, frozenset({AUDIENCE}), frozenset({"ES256"}))
        issuers = [TrustedIssuer(own, self.keys), TrustedIssuer(idp, self.newer_keys)]
        return Trust(issuers, 30, self.revocations_known)

    async def api_key(self, key_id: str) -> KeyRecord | None:
        self.asked.append(key_id)
        await asyncio.sleep(self.delay_s)
        if self.broken:
            raise RuntimeError("the store is away")
        return self.records.get(key_id)

    async def refresh(self, issuer: str) -> None:
        self.asked.append(issuer)
        if self.broken:
            raise RuntimeError("the store is away")
        self.newer_keys = [EC_KEY.public_jwk]
        self.server.trust_changed()


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[Control]:
    made = Control(tmp_path)
    await made.start()
    yield made
    with contextlib.suppress(FileNotFoundError):
        await made.stop()


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Callable[..., Authenticator]]:
    made: list[Authenticator] = []

    def start(on_change: Callable[[], None] = lambda: None, wait_s: float = 2.0) -> Authenticator:
        made.append(Authenticator(tmp_path, on_change, clock=lambda: float(NOW), wait_s=wait_s))
        made[-1].start()
        return made[-1]

    yield start
    for authenticator in made:
        await authenticator.close()


Make = Callable[..., Authenticator]


async def test_tokens(control: Control, make: Make) -> None:
    found = await make().authenticate("jwt", own_token(), "10.0.0.1")
    assert isinstance(found, Caller)
    assert (found.user, found.session) == ("u-1", "s-1")


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (own_token(exp=NOW - 60, iat=NOW - 90), "token_expired"),
        (own_token(STRANGER), "token_invalid"),
        (own_token(aud="other"), "token_invalid"),
        (b"", "token_invalid"),
        (b"\xff.\0.a", "token_invalid"),
    ],
)
async def test_refused_tokens_have_coarse_codes(
    control: Control, make: Make, token: bytes, code: str
) -> None:
    assert await make().authenticate("jwt", token, "10.0.0.1") == code


async def test_the_reason_is_logged_and_the_credential_is_not(
    control: Control, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gateway")
    authenticator = make()
    token = own_token(aud="other")
    await authenticator.authenticate("jwt", token, "10.0.0.1")
    await authenticator.authenticate("api_key", f"{KEY.text[:-1]}_".encode(), "10.0.0.1")
    lines = [f"{entry.getMessage()} {vars(entry)}" for entry in caplog.records]
    assert any("token_audience" in line and "10.0.0.1" in line for line in lines)
    assert any("api_key_malformed" in line for line in lines)
    assert [entry.getMessage() for entry in caplog.records] == ["jwt refused", "api_key refused"]
    assert not any(token.decode()[-40:] in line or KEY.text[20:40] in line for line in lines)


async def test_a_flood_of_refusals_is_not_one_of_log_lines(
    control: Control, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gateway")
    authenticator = make()
    for _ in range(2000):
        await authenticator.authenticate("jwt", b"a.b.c", "10.0.0.1")
    assert 20 <= len(caplog.records) < 200


async def test_keys_that_are_pushed_count_at_once(control: Control, make: Make) -> None:
    changes: list[int] = []
    authenticator = make(lambda: changes.append(1))
    assert isinstance(await authenticator.authenticate("jwt", own_token(), ""), Caller)
    control.keys = [STRANGER.public_jwk]
    control.server.trust_changed()
    await asyncio.sleep(0.05)
    assert len(changes) == 2
    assert await authenticator.authenticate("jwt", own_token(), "") == "token_invalid"
    assert isinstance(await authenticator.authenticate("jwt", own_token(STRANGER), ""), Caller)


async def test_an_unknown_kid_is_asked_for_once(control: Control, make: Make) -> None:
    authenticator = make()
    tokens = [foreign_token() for _ in range(20)]
    found = await asyncio.gather(*[authenticator.authenticate("jwt", t, "") for t in tokens])
    assert all(isinstance(each, Caller) for each in found)
    assert control.asked == ["idp"]
    for n in range(100):
        token = own_token(header={"kid": f"invented-{n}"})
        assert await authenticator.authenticate("jwt", token, "") == "token_invalid"
    assert control.asked == ["idp", "gateway"]


async def test_a_key_that_cannot_be_asked_for(control: Control, make: Make) -> None:
    control.broken = True
    token = own_token(header={"kid": "newer"})
    assert await make().authenticate("jwt", token, "") == "authentication_unavailable"


async def test_revocations_that_are_not_heard_of(control: Control, make: Make) -> None:
    control.revocations_known = False
    authenticator = make()
    assert await authenticator.authenticate("jwt", own_token(), "") == "authentication_unavailable"
    control.revocations_known = True
    control.server.trust_changed()
    await asyncio.sleep(0.05)
    assert isinstance(await authenticator.authenticate("jwt", own_token(), ""), Caller)


async def test_a_bound_token_needs_its_client(control: Control, make: Make) -> None:
    authenticator = make()
    token = own_token(client_fingerprint=fingerprint_claim("device 7"))
    assert await authenticator.authenticate("jwt", token, "") == "token_invalid"
    assert await authenticator.authenticate("jwt", token, "", "device 8") == "token_invalid"
    assert isinstance(await authenticator.authenticate("jwt", token, "", "device 7"), Caller)


async def test_api_keys(control: Control, make: Make) -> None:
    found = await make().authenticate("api_key", KEY.text.encode(), "")
    assert isinstance(found, Caller)
    assert (found.key, found.user, found.client) == (KEY.id, "u-1", "shop")
    assert found.rate_limit_policy == "gold"
    assert (found.issued_s, found.expires_s) == (NOW, NOW + 60)


@pytest.mark.parametrize(
    "changes",
    [{"digests": [(b"x" * 32, None)]}, {"digests": []}, {"state": "revoked"}, {"state": "expired"},
     {"expires_s": NOW}, {"digests": [(KEY.digest, NOW)]}],
)  # fmt: skip
async def test_keys_that_do_not_count(
    control: Control, make: Make, changes: dict[str, Any]
) -> None:
    control.records[KEY.id] = record(**changes)
    assert await make().authenticate("api_key", KEY.text.encode(), "") == "api_key_invalid"


async def test_a_key_ends_with_its_version(control: Control, make: Make) -> None:
    older = (KEY.digest, NOW + 5)
    control.records[KEY.id] = record(digests=[(b"y" * 32, None), older], expires_s=NOW + 40)
    found = await make().authenticate("api_key", KEY.text.encode(), "")
    assert isinstance(found, Caller)
    assert found.expires_s == NOW + 5


async def test_wrong_checksums_ask_nobody(control: Control, make: Make) -> None:
    authenticator = make()
    for text in (KEY.text[:-1] + "!", KEY.text[:-1], "gwk_", "", "' OR 1=1 --", '{"$gt": ""}'):
        assert await authenticator.authenticate("api_key", text.encode(), "") == "api_key_invalid"
    assert control.asked == []


async def test_one_question_for_many_requests(control: Control, make: Make) -> None:
    control.delay_s = 0.1
    authenticator = make()
    await authenticator.authenticate("jwt", own_token(), "")
    asked = [authenticator.authenticate("api_key", KEY.text.encode(), "") for _ in range(50)]
    assert all(isinstance(found, Caller) for found in await asyncio.gather(*asked))
    assert control.asked == [KEY.id]


async def test_a_client_that_goes_takes_the_answer_from_nobody(
    control: Control, make: Make
) -> None:
    control.delay_s = 0.1
    authenticator = make()
    first, second = (
        asyncio.create_task(authenticator.authenticate("api_key", KEY.text.encode(), ""))
        for _ in range(2)
    )
    await asyncio.sleep(0.03)
    first.cancel()
    assert isinstance(await second, Caller)


async def test_unknown_keys_are_remembered_for_a_second(control: Control, make: Make) -> None:
    authenticator = make()
    other = new_key()
    for _ in range(10):
        assert await authenticator.authenticate("api_key", other.text.encode(), "") == (
            "api_key_invalid"
        )
    assert control.asked == [other.id]
    control.records[other.id] = record(digests=[(other.digest, None)])
    control.server.forget()
    await asyncio.sleep(0.05)
    assert isinstance(await authenticator.authenticate("api_key", other.text.encode(), ""), Caller)


async def test_forget_calls_are_not_too_many(control: Control, make: Make) -> None:
    changes: list[int] = []
    authenticator = make(lambda: changes.append(1))
    await authenticator.authenticate("jwt", own_token(), "")
    for _ in range(100):
        control.server.forget()
        await asyncio.sleep(0.001)
    assert len(changes) == 2  # the trust, and one


async def test_without_control_the_wait_is_bounded(control: Control, make: Make) -> None:
    await control.stop()
    authenticator = make(wait_s=0.2)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    assert await authenticator.authenticate("jwt", own_token(), "") == "authentication_unavailable"
    key = await authenticator.authenticate("api_key", KEY.text.encode(), "")
    assert key == "authentication_unavailable"
    assert loop.time() - begin < 5


async def test_a_restart_of_control_is_waited_for(control: Control, make: Make) -> None:
    authenticator = make()
    assert isinstance(await authenticator.authenticate("jwt", own_token(), ""), Caller)
    control.delay_s = 5
    asked = asyncio.create_task(authenticator.authenticate("api_key", KEY.text.encode(), ""))
    await asyncio.sleep(0.05)
    await control.stop()
    assert isinstance(await authenticator.authenticate("jwt", own_token(), ""), Caller)
    control.delay_s = 0
    await control.start()
    assert isinstance(await asked, Caller)  # asked again on the new line


async def test_a_store_that_is_away_is_said_at_once(control: Control, make: Make) -> None:
    control.broken = True
    authenticator = make(wait_s=30)
    found = await asyncio.wait_for(authenticator.authenticate("api_key", KEY.text.encode(), ""), 5)
    assert found == "authentication_unavailable"
    control.broken = False
    assert isinstance(await authenticator.authenticate("api_key", KEY.text.encode(), ""), Caller)


async def test_what_changes_during_a_look_up_is_looked_up_again(
    control: Control, make: Make
) -> None:
    control.delay_s = 0.1
    authenticator = make()
    await authenticator.authenticate("jwt", own_token(), "")
    asked = asyncio.create_task(authenticator.authenticate("api_key", KEY.text.encode(), ""))
    await asyncio.sleep(0.03)
    control.server.forget()
    await asked
    assert control.asked == [KEY.id, KEY.id]


async def test_what_was_counted_is_reported(control: Control, make: Make) -> None:
    authenticator = make()
    await authenticator.authenticate("jwt", own_token(), "")
    assert authenticator.report("usage", [(KEY.id, "/a", 3)])
    assert authenticator.report("refused", [("few", "user:ada", 2)])
    await asyncio.sleep(0.05)
    assert control.uses == [[KEY.id, "/a", 3]]
    assert control.refused == [["few", "user:ada", 2]]
