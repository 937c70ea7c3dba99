"""How much may they call: what a client sees of limits, decided by one worker."""

import threading
import time
from typing import Any

import pytest
from http_sfv.list import List

from tests.servers.plans import plan, rate_limit, route, service
from tests.servers.upstream import OK, REQUEST, Do
from tests.wire.errors import check_error


def limited(echo: Any, *limits: dict[str, Any], **changes: Any) -> dict[str, Any]:
    routes = [route(rate_limits=list(range(len(limits))), **changes)]
    return plan([service(echo.address)], routes, rate_limits=list(limits))


@pytest.mark.parametrize("algorithm", ["token_bucket", "sliding_window", "fixed_window"])
def test_exactly_the_limit_passes(gateway: Any, echo: Any, algorithm: str) -> None:
    running = gateway(limited(echo, rate_limit(limit=5, period=3600, algorithm=algorithm)))
    with running.connect() as client:
        answers = [client.get() for _ in range(8)]
    assert [answer.status for answer in answers] == [200] * 5 + [429] * 3
    remaining = [answer.get("x-ratelimit-remaining") for answer in answers]
    assert remaining == ["4", "3", "2", "1", "0", "0", "0", "0"]


def test_a_refusal_says_when_to_come_back(gateway: Any, echo: Any) -> None:
    running = gateway(limited(echo, rate_limit("few", limit=1, period=60)))
    with running.connect() as client:
        first, second = client.get(), client.get()
    assert first.get("ratelimit-policy") == '"few";q=1;w=60'
    assert first.get("ratelimit") == '"few";r=0;t=60'
    assert first.get("x-ratelimit-limit") == "1"
    body = check_error(second, 429, "rate_limited")
    assert body["error"] == "Rate limit exceeded"
    assert body["retryAfter"] == 60
    assert second.get("retry-after") == "60"


def test_what_one_refuses_takes_nothing_of_the_others(gateway: Any, echo: Any) -> None:
    wide = rate_limit("wide", limit=10, period=3600)
    narrow = rate_limit("narrow", limit=2, period=3600, key="global")
    running = gateway(limited(echo, wide, narrow))
    with running.connect() as client:
        answers = [client.get() for _ in range(6)]
        assert [answer.status for answer in answers] == [200, 200, 429, 429, 429, 429]
        assert answers[0].get("ratelimit-policy") == '"wide";q=10;w=3600, "narrow";q=2;w=3600'
        running.install(limited(echo, wide))
        assert client.get().get("x-ratelimit-remaining") == "7"


def test_dry_run_counts_and_refuses_nothing(gateway: Any, echo: Any) -> None:
    running = gateway(limited(echo, rate_limit("dry", limit=1, period=3600, dry_run=True)))
    with running.connect() as client:
        answers = [client.get() for _ in range(3)]
    assert [answer.status for answer in answers] == [200] * 3
    assert answers[0].get("ratelimit") is None
    counted = running.segment.collect()["limits"]["dry", "/{path...}"]
    assert counted["rate_limit_dry_run_total"] == 2
    assert counted["rate_limit_allowed_total"] == 1


def test_a_header_is_a_key_and_its_absence_an_address(gateway: Any, echo: Any) -> None:
    running = gateway(limited(echo, rate_limit(limit=1, key="header", argument="x-tenant")))
    with running.connect() as client:
        statuses = [
            client.get("/", *fields).status
            for fields in (["X-Tenant: a"], ["x-tenant: a"], ["X-Tenant: b"], [], [])
        ]
    assert statuses == [200, 429, 200, 200, 429]


def test_the_caller_behind_a_trusted_proxy_is_counted(gateway: Any, echo: Any) -> None:
    compiled = limited(echo, rate_limit(limit=1))
    compiled["server"]["trusted_proxies"] = ["127.0.0.0/8", "10.0.0.0/8"]
    running = gateway(compiled)

    def status(client: Any, ways: str) -> int:
        answer: int = client.get("/", f"X-Forwarded-For: {ways}").status
        return answer

    with running.connect() as client:
        assert status(client, "192.0.2.1") == 200
        assert status(client, "198.51.100.9, 192.0.2.1, 10.1.1.1") == 429
        assert status(client, "192.0.2.2") == 200
        assert status(client, "2001:db8::1") == 200
        assert status(client, "2001:db8::2") == 429  # the same /64
        assert status(client, "2001:db8:0:1::1") == 200
        assert status(client, "rubbish") == 200  # the proxy itself
        assert status(client, "rubbish, 10.1.1.1") == 200


def test_an_unknown_peer_cannot_choose_its_address(gateway: Any, echo: Any) -> None:
    running = gateway(limited(echo, rate_limit(limit=1)))
    with running.connect() as client:
        assert client.get("/", "X-Forwarded-For: 192.0.2.1").status == 200
        assert client.get("/", "X-Forwarded-For: 192.0.2.2").status == 429


def test_networks_may_be_allowed_and_denied(gateway: Any, echo: Any) -> None:
    networks = {"allow": ["192.0.2.0/24", "2001:db8::/32"], "deny": ["192.0.2.128/25"]}
    compiled = limited(echo, **networks)
    compiled["server"]["trusted_proxies"] = ["127.0.0.0/8"]
    callers = {
        "192.0.2.1": 200, "192.0.2.129": 403, "198.51.100.1": 403, "2001:db8::5": 200,
        "192.0.2.1:4711": 200, "192.0.2.129:4711": 403, "[2001:db8::5]:4711": 200,
        "[2001:db8::5]": 200, "[2001:db9::5]:80": 403,
    }  # fmt: skip
    with gateway(compiled).connect() as client:
        for caller, status in callers.items():
            answer = client.get("/", f"X-Forwarded-For: {caller}")
            assert answer.status == status, caller
            if status == 403:
                check_error(answer, 403, "address_denied")


@pytest.mark.parametrize(
    "said",
    ["unknown", "", "127.0.0.1:x", "127.0.0.1:123456", "[127.0.0.1]:80", "[::1", "::1]:80", "[]",
     "[", "]", ":80", "[]:80", "127.0.0.1, _hidden", "127.0.0.1 1"],
)  # fmt: skip
@pytest.mark.parametrize("networks", [{"allow": ["127.0.0.0/8"]}, {"deny": ["192.0.2.0/24"]}])
def test_a_caller_whom_the_proxy_does_not_name_is_not_let_in(
    gateway: Any, echo: Any, networks: dict[str, Any], said: str
) -> None:
    """The proxy's own address, which is allowed, is not the caller's."""
    compiled = limited(echo, **networks)
    compiled["server"]["trusted_proxies"] = ["127.0.0.0/8"]
    with gateway(compiled).connect() as client:
        answer = client.get("/", f"X-Forwarded-For: {said}")
        check_error(answer, 403, "address_denied")


@pytest.mark.parametrize("limits", [1, 0])
def test_what_a_service_says_of_limits_stands_where_we_say_nothing(
    gateway: Any, scripted: Any, limits: int
) -> None:
    names = ["X-RateLimit-Limit", "x-ratelimit-remaining", "RateLimit"]
    fields = b"".join(b"%b: service\r\n" % name.encode() for name in names)
    answer = b"HTTP/1.1 200 OK\r\n" + fields + b"Content-Length: 0\r\n\r\n"
    running = gateway(limited(scripted([*REQUEST, answer]), *[rate_limit(limit=5)] * limits))
    with running.connect() as client:
        found = client.get("/")
    for name in names:
        said = found.get_all(name)
        assert len(said) == 1
        assert (said == ["service"]) == (limits == 0), name


def test_a_route_has_a_weight(gateway: Any, echo: Any) -> None:
    running = gateway(limited(echo, rate_limit(limit=10, period=3600), rate_limit_weight=4))
    with running.connect() as client:
        assert [client.get().status for _ in range(4)] == [200, 200, 429, 429]


COST = b"HTTP/1.1 200 OK\r\nX-Cost: %b\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("algorithm", ["token_bucket", "sliding_window", "fixed_window"])
def test_the_answer_says_what_it_has_cost(gateway: Any, scripted: Any, algorithm: str) -> None:
    """6 instead of 2 in advance, 1 instead of 2, and rubbish, which changes nothing."""
    costs = [b"6", b"1", b"-5", b"12345678", b"", b"1x"]
    upstream = scripted([step for cost in costs for step in (*REQUEST, COST % cost)])
    policy = rate_limit(
        limit=100, period=3600, weight=2, weight_header="x-cost", algorithm=algorithm
    )
    running = gateway(limited(upstream, policy))
    with running.connect() as client:
        answers = [client.get() for _ in costs]
    remaining = [int(answer.get("x-ratelimit-remaining") or "") for answer in answers]
    assert remaining == [98, 92, 91, 89, 87, 85]
    assert answers[0].get("x-cost") == "6"


def test_what_is_owed_is_paid_by_later_requests(gateway: Any, scripted: Any) -> None:
    upstream = scripted([*REQUEST, COST % b"9999999"])
    policy = rate_limit(limit=10, period=1, burst=10, weight_header="x-cost")
    running = gateway(limited(upstream, policy))
    with running.connect() as client:
        assert client.get().status == 200
        refused = client.get()
        check_error(refused, 429, "rate_limited")
        assert refused.get("retry-after") == "2", "never more than another burst"


def test_a_worker_with_too_much_to_do_sheds_what_matters_less(gateway: Any, scripted: Any) -> None:
    release = threading.Event()
    upstream = scripted((Do.HEAD, release, OK))
    routes = [
        route("/slow", criticality="critical"),
        route("/normal"),
        route("/sheddable", criticality="sheddable"),
    ]
    bounds = {"in_flight": 1, "loop_lag": 0}
    running = gateway(plan([service(upstream.address)], routes, overload=bounds))
    with running.connect() as busy, running.connect() as client:
        busy.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        while running.exchanges < 1:
            time.sleep(0.01)
        for path in ("/normal", "/sheddable"):
            refused = client.get(path)
            check_error(refused, 503, "overloaded")
            assert refused.get("retry-after") == "1"
        release.set()
        assert busy.recv_response().status == 200
    deadline = time.monotonic() + 2
    while running.segment.collect()["counters"]["requests_shed_total"] != 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_parser_of_structured_fields_reads_ours(gateway: Any, echo: Any) -> None:
    """Fields of draft-ietf-httpapi-ratelimit-headers-10: lists of strings with parameters."""
    wide = rate_limit("wide", limit=10, period=3600)
    narrow = rate_limit("narrow.v2", limit=2, period=60, burst=5)
    with gateway(limited(echo, wide, narrow)).connect() as client:
        answers = [client.get() for _ in range(6)]
    for answer, left in zip(answers, [4, 3, 2, 1, 0, 0], strict=True):
        policies, state = List(), List()
        policies.parse((answer.get("ratelimit-policy") or "").encode())
        state.parse((answer.get("ratelimit") or "").encode())
        read = {item.value: dict(item.params) for item in policies}
        assert read == {"wide": {"q": 10, "w": 3600}, "narrow.v2": {"q": 5, "w": 150}}
        [item] = state
        assert (item.value, item.params["r"]) == ("narrow.v2", left)
        assert 0 < item.params["t"] <= 150


def test_tokens_come_back(gateway: Any, echo: Any) -> None:
    running = gateway(limited(echo, rate_limit(limit=20, period=1, burst=1)))
    with running.connect() as client:
        assert client.get().status == 200
        assert client.get().status == 429
        time.sleep(0.06)
        assert client.get().status == 200


def test_requests_under_way_are_limited_and_end(gateway: Any, scripted: Any) -> None:
    answer = threading.Event()
    upstream = scripted((Do.HEAD, answer, OK, *REQUEST, OK))
    two = rate_limit("two", limit=2, period=0, algorithm="concurrent")
    running = gateway(limited(upstream, two))
    first, second, third = (running.connect() for _ in range(3))
    for client in (first, second):
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    while running.exchanges < 2:
        time.sleep(0.01)
    check_error(third.get(), 429, "rate_limited")
    answer.set()
    assert [client.recv_response().status for client in (first, second)] == [200, 200]
    assert third.get().status == 200
    for client in (first, second, third):
        client.close()
