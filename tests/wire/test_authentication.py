"""Who may use a route: credentials on the wire, the cache of verified ones, revocation."""

import asyncio
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.servers.gateway import GatewayThread
from tests.servers.plans import plan, rate_limit, route, service

FOR_GOOD = 2**40


@dataclass(frozen=True)
class Caller:
    user: str = "ada"
    client: str = ""
    key: str = ""
    session: str = "s1"
    scopes: frozenset[str] = frozenset({"read"})
    claims: dict[str, Any] = field(default_factory=dict)
    issued_s: int = 1_000
    expires_s: int = FOR_GOOD
    bound: bool = False
    rate_limit_policy: str = ""


class Authenticator:
    """Knows callers by their credential; remembers what it was asked."""

    def __init__(self, **callers: Caller | str) -> None:
        self.callers: dict[bytes, Any] = {name.encode(): it for name, it in callers.items()}
        self.asked: list[tuple[str, bytes, str]] = []
        self.fingerprints: list[str | None] = []
        self.hold = threading.Event()
        self.hold.set()

    async def __call__(
        self, kind: str, credential: bytes, peer: str, fingerprint: str | None
    ) -> Any:
        self.asked.append((kind, credential, peer))
        self.fingerprints.append(fingerprint)
        while not self.hold.is_set():
            await asyncio.sleep(0.005)
        answer = self.callers.get(credential, "token_invalid")
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Caller) and answer.bound and fingerprint != "device":
            return "token_invalid"
        return answer


@pytest.fixture
def guarded(servers: Any, echo: Any) -> Any:
    def start(authenticator: Authenticator | None, *routes: Any, **options: Any) -> GatewayThread:
        compiled = plan([service(echo.address)], list(routes) or [required()], **options)
        running = GatewayThread(compiled, authenticator=authenticator)
        servers.callback(running.close)
        return running

    return start


def required(**changes: Any) -> Any:
    return route(**({"auth": "required"} | changes))


def ask(gateway: GatewayThread, *fields: str, target: str = "/") -> Any:
    with gateway.connect() as client:
        return client.get(target, *fields)


def test_without_a_credential(guarded: Any, echo: Any) -> None:
    answer = ask(guarded(Authenticator()))
    assert (answer.status, answer.json()["code"]) == (401, "authentication_required")
    assert answer.get_all("www-authenticate") == [
        'Bearer realm="gateway"',
        'ApiKey realm="gateway"',
    ]
    assert not echo.requests


def test_a_good_token_is_verified_once_and_told_to_the_service(guarded: Any, echo: Any) -> None:
    authenticator = Authenticator(good=Caller(client="app", scopes=frozenset({"b", "a"})))
    gateway = guarded(authenticator)
    with gateway.connect() as client:
        for _ in range(3):
            assert client.get("/", "Authorization: Bearer good", "X-User-Id: eve").status == 200
    assert authenticator.asked == [("jwt", b"good", "127.0.0.1")]
    for request in echo.requests:
        assert request.get_all("x-user-id") == ["ada"]
        assert request.get_all("x-client-id") == ["app"]
        assert request.get_all("x-scopes") == ["a b"]
        assert request.get_all("authorization") == ["Bearer good"]
    entry = gateway.log_entries(3)[0]
    assert (entry["user"], entry["app"]) == ("ada", "app")


def test_the_token_may_be_kept_from_the_service(guarded: Any, echo: Any) -> None:
    gateway = guarded(Authenticator(good=Caller()), required(forward_token=False))
    assert ask(gateway, "Authorization: Bearer good").status == 200
    assert echo.requests[-1].get_all("authorization") == []


def test_a_bound_token_holds_only_beside_its_fingerprint(guarded: Any) -> None:
    authenticator = Authenticator(good=Caller(bound=True))
    gateway = guarded(authenticator)
    token, device = "Authorization: Bearer good", "X-Client-Fingerprint: device"
    with gateway.connect() as client:
        for _ in range(2):
            assert client.get("/", token, device).status == 200
        assert len(authenticator.asked) == 1
        for fields in ([token], [token, "X-Client-Fingerprint: other"], [token, device, device]):
            answer = client.get("/", *fields)
            assert (answer.status, answer.json()["code"]) == (401, "token_invalid")
        assert client.get("/", token, device).status == 200
    assert authenticator.fingerprints == ["device", None, "other", None]


@pytest.mark.parametrize("field", ["X-API-Key: good", "Authorization: ApiKey good"])
def test_an_api_key_never_goes_on(guarded: Any, echo: Any, field: str) -> None:
    authenticator = Authenticator(good=Caller(key="k1", session=""))
    assert ask(guarded(authenticator), field).status == 200
    assert authenticator.asked[0][0] == "api_key"
    assert echo.requests[-1].get_all(field.partition(":")[0].lower()) == []


def test_without_authentication_credentials_pass_unseen(guarded: Any, echo: Any) -> None:
    gateway = guarded(None, route())
    assert ask(gateway, "Authorization: Basic eA==", "X-API-Key: other").status == 200
    assert echo.requests[-1].get_all("authorization") == ["Basic eA=="]
    assert echo.requests[-1].get_all("x-api-key") == ["other"]
    assert echo.requests[-1].get_all("x-user-id") == []


@pytest.mark.parametrize(
    "code", ["token_invalid", "token_expired", "token_revoked", "api_key_invalid"]
)
def test_a_refused_token_is_not_remembered(guarded: Any, code: str) -> None:
    authenticator = Authenticator(bad=code)
    gateway = guarded(authenticator)
    for _ in range(2):
        answer = ask(gateway, "Authorization: Bearer bad")
        assert (answer.status, answer.json()["code"]) == (401, code)
        assert 'error="invalid_token"' in answer.get_all("www-authenticate")[0]
    assert len(authenticator.asked) == 2


@pytest.mark.parametrize(
    "fields",
    [
        ("Authorization: Bearer good", "Authorization: Bearer good"),
        ("Authorization: Bearer good", "X-API-Key: good"),
        ("X-API-Key: good", "x-api-key: good"),
    ],
)
def test_two_credentials_are_none(guarded: Any, echo: Any, fields: tuple[str, ...]) -> None:
    answer = ask(guarded(Authenticator(good=Caller())), *fields)
    assert (answer.status, answer.json()["code"]) == (400, "credentials_ambiguous")
    assert not echo.requests


@pytest.mark.parametrize(
    "field", ["Authorization: Basic eA==", "Authorization: Bearer", "Authorization: Bearergood"]
)
def test_another_scheme_is_not_accepted(guarded: Any, field: str) -> None:
    answer = ask(guarded(Authenticator(good=Caller())), field)
    assert (answer.status, answer.json()["code"]) == (401, "credential_not_accepted")


def test_a_route_may_take_one_kind_alone(guarded: Any) -> None:
    authenticator = Authenticator(good=Caller(key="k1"))
    gateway = guarded(
        authenticator,
        required(path="/keys", accept=["api_key"]),
        required(path="/tokens", accept=["jwt"]),
    )
    assert ask(gateway, "X-API-Key: good", target="/keys").status == 200
    refused = ask(gateway, "X-API-Key: good", target="/tokens")
    assert refused.json()["code"] == "credential_not_accepted"
    # The cached key is no token because it stands behind another word.
    ask(gateway, "Authorization: Bearer good", target="/tokens")
    assert authenticator.asked[-1] == ("jwt", b"good", "127.0.0.1")


def test_optional_lets_through_who_says_nothing_and_nobody_who_lies(guarded: Any) -> None:
    gateway = guarded(Authenticator(good=Caller()), required(auth="optional"))
    assert ask(gateway).status == 200
    assert ask(gateway, "Authorization: Bearer good").status == 200
    assert ask(gateway, "Authorization: Bearer bad").status == 401


def test_an_expired_token_is_asked_about_again(guarded: Any) -> None:
    now = int(time.time())
    authenticator = Authenticator(good=Caller(expires_s=now + 1))
    gateway = guarded(authenticator)
    assert ask(gateway, "Authorization: Bearer good").status == 200
    authenticator.callers[b"good"] = "token_expired"
    while time.time() < now + 1.05:
        time.sleep(0.05)
    answer = ask(gateway, "Authorization: Bearer good")
    assert (answer.status, answer.json()["code"]) == (401, "token_expired")


@pytest.mark.parametrize(("kind", "name"), [("session", "s1"), ("user", "ada"), ("client", "app")])
def test_a_revocation_holds_from_the_next_request_on(guarded: Any, kind: Any, name: str) -> None:
    gateway = guarded(Authenticator(good=Caller(client="app"), new=Caller(issued_s=2_000)))
    with gateway.connect() as client:
        assert client.get("/", "Authorization: Bearer good").status == 200
        gateway.segment.revoke(kind, name + "-other", 1_500, FOR_GOOD, 1_500)
        assert client.get("/", "Authorization: Bearer good").status == 200
        gateway.segment.revoke(kind, name, 1_500, FOR_GOOD, 1_500)
        for _ in range(2):  # from the cache, and then by asking
            answer = client.get("/", "Authorization: Bearer good")
            assert (answer.status, answer.json()["code"]) == (401, "token_revoked")
        assert client.get("/", "Authorization: Bearer new").status == 200


def test_a_revoked_key(guarded: Any) -> None:
    gateway = guarded(Authenticator(good=Caller(key="k1", session="", user="")))
    assert ask(gateway, "X-API-Key: good").status == 200
    gateway.segment.revoke("key", "k1", 2**32, FOR_GOOD, 1_500)
    assert ask(gateway, "X-API-Key: good").json()["code"] == "api_key_invalid"


@pytest.mark.parametrize(
    ("held", "wanted", "some", "missing"),
    [
        ({"read"}, ["read"], [], None),
        ({"read"}, ["read", "write"], [], "write"),
        ({"content:*"}, ["content:read", "content:videos:write"], [], None),
        ({"content:*"}, ["contents:read"], [], "contents:read"),
        ({"content:videos:*"}, ["content:videos"], [], "content:videos"),
        ({"*"}, ["a", "b:c"], ["d"], None),
        ({"b"}, [], ["a", "b"], None),
        (set(), [], ["a", "b"], "a or b"),
    ],
)
def test_scopes(
    guarded: Any, held: set[str], wanted: list[str], some: list[str], missing: str | None
) -> None:
    gateway = guarded(
        Authenticator(good=Caller(scopes=frozenset(held))),
        required(scopes=wanted, any_scopes=some),
    )
    with gateway.connect() as client:
        for _ in range(2):
            answer = client.get("/", "Authorization: Bearer good")
            if missing is None:
                assert answer.status == 200
                continue
            assert (answer.status, answer.json()["code"]) == (403, "insufficient_scope")
            assert answer.json()["error"] == f"Missing scope: {missing}"
            challenge = answer.get_all("www-authenticate")[0]
            assert f'scope="{" ".join(wanted + some)}"' in challenge


def test_scopes_of_more_routes_than_are_remembered(guarded: Any) -> None:
    routes = [required(path=f"/{n}", scopes=[f"s{n}"]) for n in range(70)]
    gateway = guarded(Authenticator(good=Caller(scopes=frozenset({"s1", "s69"}))), *routes)
    with gateway.connect() as client:
        for _ in range(2):
            for n in range(70):
                expected = 200 if n in (1, 69) else 403
                assert client.get(f"/{n}", "Authorization: Bearer good").status == expected


def test_another_plan_asks_for_other_scopes(guarded: Any, echo: Any) -> None:
    gateway = guarded(Authenticator(good=Caller()), required(scopes=["read"]))
    with gateway.connect() as client:
        assert client.get("/", "Authorization: Bearer good").status == 200
        stricter = plan([service(echo.address)], [required(scopes=["write"])], generation=2)
        gateway.install(stricter)
        assert client.get("/", "Authorization: Bearer good").status == 403


def test_other_rules_of_authentication_forget_everyone(guarded: Any, echo: Any) -> None:
    authenticator = Authenticator(good=Caller())
    gateway = guarded(authenticator)
    assert ask(gateway, "Authorization: Bearer good").status == 200
    changed = plan([service(echo.address)], [required()], generation=2) | {"auth": {"issuer": "b"}}
    gateway.install(changed)
    assert ask(gateway, "Authorization: Bearer good").status == 200
    assert len(authenticator.asked) == 2


# ---- While the authenticator thinks --------------------------------------------------------------


def test_a_body_waits_and_arrives_whole(guarded: Any, echo: Any) -> None:
    authenticator = Authenticator(good=Caller())
    authenticator.hold.clear()
    gateway = guarded(authenticator)
    body = b"x" * 300_000
    head = (
        f"POST / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer good\r\nContent-Length: {len(body)}"
    )
    with gateway.connect() as client:
        client.send(head.encode() + b"\r\n\r\n" + body[:1000])
        time.sleep(0.05)
        assert not echo.requests
        authenticator.hold.set()
        client.send(body[1000:])
        assert client.recv_response().status == 200
    assert echo.requests[-1].body == body


def test_a_client_that_leaves_frees_everything(guarded: Any) -> None:
    authenticator = Authenticator(good=Caller())
    authenticator.hold.clear()
    gateway = guarded(authenticator)
    with gateway.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer good\r\n\r\n")
        while not authenticator.asked:
            time.sleep(0.005)
        client.reset()
    deadline = time.monotonic() + 2
    while gateway.exchanges and time.monotonic() < deadline:
        time.sleep(0.01)
    assert gateway.exchanges == 0
    authenticator.hold.set()
    assert ask(gateway, "Authorization: Bearer good").status == 200


def test_pipelined_requests_keep_their_order_and_their_callers(guarded: Any, echo: Any) -> None:
    authenticator = Authenticator(good=Caller(), other=Caller(user="bob"))
    gateway = guarded(authenticator)
    with gateway.connect() as client:
        requests = [
            f"GET /{n} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"
            for n, token in enumerate(["good", "bad", "other", "good"])
        ]
        client.send("".join(requests).encode())
        assert [client.recv_response().status for _ in range(4)] == [200, 401, 200, 200]
    callers = [(request.target, request.get_all("x-user-id")) for request in echo.requests]
    assert callers == [("/0", ["ada"]), ("/2", ["bob"]), ("/3", ["ada"])]


def test_an_authenticator_that_fails(guarded: Any) -> None:
    authenticator = Authenticator()
    authenticator.callers[b"good"] = RuntimeError("broken")
    answer = ask(guarded(authenticator), "Authorization: Bearer good")
    assert (answer.status, answer.json()["code"]) == (500, "internal_error")
    assert "broken" not in answer.body.decode()


def test_a_name_that_no_field_can_hold(guarded: Any, echo: Any) -> None:
    authenticator = Authenticator(good=Caller(user="ada\r\nX-Scopes: admin"))
    answer = ask(guarded(authenticator), "Authorization: Bearer good")
    assert answer.status == 500
    assert not echo.requests


def test_nobody_to_ask(guarded: Any) -> None:
    answer = ask(guarded(None), "Authorization: Bearer good")
    assert (answer.status, answer.json()["code"]) == (503, "authentication_unavailable")
    assert answer.get_all("retry-after") == ["1"]


# ---- Uses of API keys ----------------------------------------------------------------------------


def test_uses_are_counted_by_key_and_route(guarded: Any) -> None:
    gateway = guarded(
        Authenticator(good=Caller(key="k1"), token=Caller()),
        required(path="/a"),
        required(path="/b"),
    )
    with gateway.connect() as client:
        for target in ("/a", "/a", "/b", "/a"):
            client.get(target, "X-API-Key: good")
        client.get("/a", "Authorization: Bearer token")
    assert sorted(gateway.run(gateway.worker.take_usage)) == [("k1", "/a", 3), ("k1", "/b", 1)]
    assert gateway.run(gateway.worker.take_usage) == []
    ask(gateway, "X-API-Key: good", target="/b")
    assert gateway.run(gateway.worker.take_usage) == [("k1", "/b", 1)]


@pytest.mark.parametrize(("policy", "limit"), [("gold", "7"), ("", "3"), ("GOLD", "3")])
def test_the_policy_of_a_key_selects_a_tier(guarded: Any, policy: str, limit: str) -> None:
    more = {"limit": 7, "period": 60, "burst": 7, "lease": 0}
    tier = {"test": "policy", "claim": "", "value": "gold", "allowance": more}
    limits = [rate_limit("per_user", limit=3, key="user", tiers=[tier])]
    caller = Caller(key="k1", rate_limit_policy=policy)
    gateway = guarded(Authenticator(good=caller), required(rate_limits=[0]), rate_limits=limits)
    answer = ask(gateway, "X-API-Key: good")
    assert answer.get("X-RateLimit-Limit") == limit


def test_who_was_refused_by_a_limit_is_counted_by_name(guarded: Any) -> None:
    limits = [
        rate_limit("by_user", limit=1, period=3600, key="user"),
        rate_limit("by_key", limit=9, period=3600, key="api_key"),
        rate_limit("by_ip", limit=9, period=3600, key="ip"),
    ]
    callers = Authenticator(a=Caller(user="a b"), c=Caller(user="c", key="k1"))
    routes = [required(rate_limits=[0, 1, 2])]
    running = guarded(callers, *routes, rate_limits=limits)
    with running.connect() as client:
        for credential in ("a", "a", "a", "c", "c"):
            client.get("/", f"Authorization: Bearer {credential}")
    refused = running.run(running.worker.take_refused)
    assert sorted(refused) == [("by_user", "user:a%20b", 2), ("by_user", "user:c", 1)]
    assert running.run(running.worker.take_refused) == []
