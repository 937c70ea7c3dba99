"""Which endpoint, and which service, gets a request."""

import contextlib
import threading
import time
from collections import Counter
from typing import Any

from tests.servers.gateway import GatewayThread
from tests.servers.plans import endpoint, plan, route, service
from tests.servers.upstream import OK, REQUEST, EchoUpstream, Request
from tests.wire.test_authentication import Caller

GET = "GET / HTTP/1.1\r\nHost: a\r\n"


class Named(EchoUpstream):
    """Answers with its name."""

    def __init__(self, name: str) -> None:
        self.name = name.encode()
        super().__init__()

    def answer(self, request: Request) -> bytes:
        return b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + self.name


def named(servers: contextlib.ExitStack, names: str) -> list[Named]:
    started = [Named(name) for name in names]
    for upstream in started:
        servers.callback(upstream.close)
    return started


def service_of(upstreams: list[Named], **settings: Any) -> Any:
    endpoints = [endpoint(upstream.address) for upstream in upstreams]
    return service(endpoints=endpoints, **settings)


def test_the_same_key_goes_to_the_same_endpoint(gateway: Any, servers: Any) -> None:
    by = {"source": "header", "name": "x-user-id"}
    compiled = plan([service_of(named(servers, "abcd"), balance="consistent_hash", hash_by=by)])
    seen = {}
    with gateway(compiled).connect() as client, gateway(compiled).connect() as other:
        for user in range(40):
            bodies = {each.get("/", f"X-User-Id: {user}").body for each in (client, other) * 2}
            assert len(bodies) == 1, "in every worker"
            seen[user] = bodies.pop()
        assert {client.get().body for _ in range(5)} == {client.get().body}, "by address"
    assert len(set(seen.values())) == 4


def test_keys_from_cookies(gateway: Any, servers: Any) -> None:
    by = {"source": "cookie", "name": "sid"}
    compiled = plan([service_of(named(servers, "abcd"), balance="consistent_hash", hash_by=by)])
    with gateway(compiled).connect() as client:
        for sid in range(20):
            lines = (f"Cookie: a=1; sid={sid}; xsid=9", f"Cookie:  sid={sid}")
            assert len({client.get("/", line).body for line in lines}) == 1


def test_the_own_zone_first_then_others_then_the_next_priority(gateway: Any, servers: Any) -> None:
    upstreams = named(servers, "nfb")
    endpoints = [endpoint(upstream.address) for upstream in upstreams]
    endpoints[0] |= {"zone": "near"}
    endpoints[1] |= {"zone": "far"}
    endpoints[2] |= {"zone": "near", "priority": 1}
    running = gateway(plan([service(endpoints=endpoints, zone="near", health={})]))
    places = [running.segment.place(f"echo {each['url']}", 0) for each in endpoints]

    def bodies() -> set[bytes]:
        # The loads of the levels are those of the last tick.
        time.sleep(0.25)
        with running.connect() as client:
            return {client.get().body for _ in range(30)}

    assert bodies() == {b"n"}
    running.segment.set_health(places[0], "unhealthy", 1)
    # Half of the priority is left: it carries 70 %.
    assert bodies() == {b"f", b"b"}
    running.segment.set_health(places[1], "unhealthy", 1)
    assert bodies() == {b"b"}
    running.segment.set_health(places[0], "healthy", 1)
    running.segment.set_health(places[1], "healthy", 1)
    assert bodies() == {b"n"}


def test_least_request_avoids_who_is_busy(gateway: Any, servers: Any, scripted: Any) -> None:
    gate = threading.Event()
    stuck = scripted((*REQUEST, gate, OK))
    [free] = named(servers, "f")
    endpoints = [endpoint(stuck.address), endpoint(free.address)]
    running = gateway(plan([service(endpoints=endpoints, balance="least_request")]))
    waiting = [running.connect() for _ in range(8)]
    for client in waiting:
        client.send(f"{GET}\r\n".encode())
    # The others have their answers: a busy `free` would be as good as `stuck`.
    assert stuck.wait_for(lambda: 1 <= len(stuck.requests) == running.exchanges)
    with running.connect() as client:
        assert Counter(client.get().body for _ in range(30)) == {b"f": 30}
    assert len(stuck.requests) <= 4, "no more than its share of eight"
    gate.set()
    for client in waiting:
        client.close()


def test_a_sticky_cookie(gateway: Any, servers: Any) -> None:
    running = gateway(plan([service_of(named(servers, "abc"), sticky_cookie={"ttl": 60.0})]))
    with running.connect() as client:
        first = client.get()
        cookie = first.get("set-cookie") or ""
        value, _, attributes = cookie.partition("; ")
        assert attributes == "Path=/; HttpOnly; SameSite=Lax; Max-Age=60"
        for _ in range(9):
            again = client.get("/", f"Cookie: {value}")
            assert (again.body, again.get("set-cookie")) == (first.body, None)
        for forged in ("gw=0000000000000000", "gw=zz", "gw=" + "f" * 16, "gw"):
            assert client.get("/", f"Cookie: {forged}").get("set-cookie")


def split_plan(servers: Any, parts: list[dict[str, Any]], by: Any = None, names: str = "ab") -> Any:
    services = [
        service_of([upstream], name=upstream.name.decode()) for upstream in named(servers, names)
    ]
    filled = [{"headers": [], "cookies": [], "claims": [], "weight": 0} | part for part in parts]
    return plan(services, [route(split=filled, split_by=by)])


def test_a_split_by_weight(gateway: Any, servers: Any) -> None:
    compiled = split_plan(servers, [{"service": 0, "weight": 3}, {"service": 1, "weight": 1}])
    running = gateway(compiled)
    with running.connect() as client:
        counts = Counter(client.get().body for _ in range(400))
    assert 260 < counts[b"a"] < 340
    assert {entry["service"] for entry in running.log_entries(400)} == {"a", "b"}


def test_a_split_keeps_a_caller(gateway: Any, servers: Any) -> None:
    by = {"source": "header", "name": "x-user-id"}
    parts = [{"service": 0, "weight": 1}, {"service": 1, "weight": 1}]
    with gateway(split_plan(servers, parts, by)).connect() as client:
        seen = {
            frozenset(client.get("/", f"X-User-Id: {user}").body for _ in range(4))
            for user in range(30)
        }
    assert seen == {frozenset({b"a"}), frozenset({b"b"})}


def test_a_split_by_what_the_request_says(gateway: Any, servers: Any) -> None:
    header = {"name": "x-canary", "op": "exact", "value": "always"}
    cookie = {"name": "beta", "op": "prefix", "value": "y"}
    parts: list[dict[str, Any]] = [
        {"service": 0, "weight": 1},
        {"service": 1, "headers": [header]},
        {"service": 1, "cookies": [cookie, {"name": "off", "op": "absent", "value": ""}]},
    ]
    with gateway(split_plan(servers, parts)).connect() as client:
        for line, body in [
            ("X-Canary: always", b"b"),
            ("X-Canary: sometimes", b"a"),
            ("Cookie: beta=yes", b"b"),
            ("Cookie: off=1; beta=yes", b"a"),
            ("Cookie: beta=no", b"a"),
            ("Accept: */*", b"a"),
        ]:
            assert client.get("/", line).body == body, line


def test_a_split_by_what_the_token_says(servers: Any) -> None:
    claims: dict[bytes, dict[str, Any]] = {
        b"beta": {"plan": "beta"},
        b"beta2": {"plan": "beta-2"},
        b"gold": {"groups": ["staff", "gold"]},
        b"level": {"level": 7},
        b"yes": {"internal": True},
        b"no": {"internal": False, "level": "seven", "groups": {"gold": 1}, "plan": None},
        b"off": {"plan": "free", "groups": []},
    }

    async def authenticate(kind: str, credential: bytes, *_: Any) -> Caller | str:
        return Caller(claims=claims[credential]) if credential in claims else "token_invalid"

    tests = [
        {"name": "plan", "op": "prefix", "value": "beta-"},
        {"name": "groups", "op": "exact", "value": "gold"},
        {"name": "level", "op": "exact", "value": "7"},
        {"name": "internal", "op": "exact", "value": "true"},
    ]
    parts: list[dict[str, Any]] = [{"service": 0, "weight": 1}]
    parts += [{"service": 1, "claims": [test]} for test in tests]
    compiled = split_plan(servers, parts)
    compiled["routes"][0]["auth"] = "optional"
    running = GatewayThread(compiled, authenticator=authenticate)
    servers.callback(running.close)
    with running.connect() as client:
        assert client.get().body == b"a", "no token, no claims"
        for name in claims:
            wanted = b"b" if name in (b"beta2", b"gold", b"level", b"yes") else b"a"
            token = f"Authorization: Bearer {name.decode()}"
            assert [client.get("/", token).body for _ in range(2)] == [wanted] * 2, name


def test_a_split_by_the_presence_of_a_claim(servers: Any) -> None:
    async def authenticate(kind: str, credential: bytes, *_: Any) -> Caller:
        return Caller(claims={"plan": "x"} if credential == b"with" else {})

    for op, with_it, without in (("present", b"b", b"a"), ("absent", b"a", b"b")):
        claims = [{"name": "plan", "op": op, "value": ""}]
        compiled = split_plan(
            servers, [{"service": 0, "weight": 1}, {"service": 1, "claims": claims}]
        )
        compiled["routes"][0]["auth"] = "required"
        running = GatewayThread(compiled, authenticator=authenticate)
        servers.callback(running.close)
        with running.connect() as client:
            assert client.get("/", "Authorization: Bearer with").body == with_it
            assert client.get("/", "Authorization: Bearer out").body == without


def test_the_share_of_a_canary_is_laid_over_without_a_reload(gateway: Any, servers: Any) -> None:
    by = {"source": "header", "name": "x-user-id"}
    compiled = split_plan(servers, [{"service": 0, "weight": 95}, {"service": 1, "weight": 5}], by)
    running = gateway(compiled)
    place = running.segment.place("split /{path...} 1", 0)

    def with_the_canary() -> set[int]:
        return {user for user in range(300) if client.get("/", f"X-User-Id: {user}").body == b"b"}

    with running.connect() as client:
        first = with_the_canary()
        assert 3 < len(first) < 40
        running.segment.set_share(place, 500)
        half = with_the_canary()
        assert 120 < len(half) < 180
        assert first <= half, "who was there stays there"
        running.segment.set_share(place, 0)
        assert with_the_canary() == set()
        running.segment.set_share(place, 1000)
        assert len(with_the_canary()) == 300
        running.segment.set_share(place, None)
        assert with_the_canary() == first


def test_what_a_laid_over_share_leaves_is_divided_by_weight(gateway: Any, servers: Any) -> None:
    parts = [{"service": number, "weight": weight} for number, weight in enumerate((50, 50, 0))]
    running = gateway(split_plan(servers, parts, names="abc"))
    places = [running.segment.place(f"split /{{path...}} {number}", 0) for number in range(3)]

    def shares() -> dict[bytes, float]:
        counts = Counter(client.get().body for _ in range(3000))
        return {name: round(count / 3000, 1) for name, count in sorted(counts.items())}

    with running.connect() as client:
        assert shares() == {b"a": 0.5, b"b": 0.5}
        running.segment.set_share(places[2], 400)
        assert shares() == {b"a": 0.3, b"b": 0.3, b"c": 0.4}
        running.segment.set_share(places[0], 600)
        assert shares() == {b"a": 0.6, b"c": 0.4}
        running.segment.set_share(places[2], 0)
        assert shares() == {b"a": 0.6, b"b": 0.4}
