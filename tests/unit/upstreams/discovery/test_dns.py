"""DNS as a source: records, their times to live, and what an SRV record means."""

import time
from collections.abc import Iterator

import dns.rcode
import pytest

from gateway.config.discovery import Dns
from gateway.upstreams.discovery import dns as module
from gateway.upstreams.discovery.dns import DnsSource
from gateway.upstreams.discovery.source import Endpoint, SourceError
from tests.servers.dns_server import DnsServer
from tests.unit.upstreams.discovery.reading import first, opened


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[DnsServer]:
    monkeypatch.setattr(module, "QUERY_TIMEOUT_S", 0.2)
    running = DnsServer()
    yield running
    running.close()


def source(server: DnsServer, kind: str = "SRV", min_ttl: str = "50ms") -> DnsSource:
    port = {} if kind == "SRV" else {"port": 80}
    settings = {"name": "web.test", "type": kind, "resolver": server.address, "min_ttl": min_ttl}
    return DnsSource(Dns.model_validate(settings | port), chance=lambda: 0.0)


async def test_priorities_are_kept_and_weight_0_is_a_small_one(server: DnsServer) -> None:
    server.set(
        "web.test",
        "SRV",
        "10 0 80 a.test.",
        "10 60 81 b.test.",
        "20 5 82 a.test.",
        "30 7 80 a.test.",
    )
    server.set("a.test", "A", "10.0.0.1")
    server.set("b.test", "A", "10.0.0.2", "10.0.0.3")
    assert await first(source(server)) == {
        Endpoint("http://10.0.0.1:80", 1, None, 10),
        Endpoint("http://10.0.0.2:81", 60, None, 10),
        Endpoint("http://10.0.0.3:81", 60, None, 10),
        Endpoint("http://10.0.0.1:82", 5, None, 20),
    }, "one target twice counts by its best priority"


async def test_a_target_with_ipv6_alone(server: DnsServer) -> None:
    server.set("web.test", "SRV", "1 1 80 a.test.")
    server.set("a.test", "AAAA", "fd00::1")
    assert await first(source(server)) == {Endpoint("http://[fd00::1]:80", 1, None, 1)}


async def test_a_target_that_is_the_root_means_no_service(server: DnsServer) -> None:
    server.set("web.test", "SRV", "0 0 0 .")
    assert await first(source(server)) == frozenset()


async def test_a_target_that_does_not_exist_costs_only_itself(server: DnsServer) -> None:
    server.set("web.test", "SRV", "1 1 80 a.test.", "1 1 80 gone.test.")
    server.set("a.test", "A", "10.0.0.1")
    assert await first(source(server)) == {Endpoint("http://10.0.0.1:80", 1, None, 1)}


async def test_aliases_are_followed(server: DnsServer) -> None:
    server.set("web.test", "CNAME", "real.test.")
    server.set("real.test", "A", "10.0.0.1")
    assert await first(source(server, "A")) == {Endpoint("http://10.0.0.1:80")}


async def test_a_truncated_answer_is_asked_for_over_tcp(server: DnsServer) -> None:
    server.truncates = True
    server.set("web.test", "A", *(f"10.0.{n}.1" for n in range(100)))
    assert len(await first(source(server, "A"))) == 100


async def test_a_name_that_does_not_exist_has_no_endpoints(server: DnsServer) -> None:
    assert await first(source(server, "A")) == frozenset()


@pytest.mark.parametrize(("ttl_s", "min_ttl", "wait_s"), [(1, "50ms", 1.0), (0, "300ms", 0.3)])
async def test_the_time_to_live_decides_when_it_asks_again(
    server: DnsServer, ttl_s: int, min_ttl: str, wait_s: float
) -> None:
    server.ttl_s = ttl_s
    server.set("web.test", "A", "10.0.0.1")
    async with opened(source(server, "A", min_ttl)) as sets:
        await anext(sets)
        begin = time.monotonic()
        await anext(sets)
    assert wait_s <= time.monotonic() - begin < wait_s + 5


async def test_failures_say_what_was_asked(server: DnsServer) -> None:
    server.rcode = dns.rcode.SERVFAIL
    with pytest.raises(SourceError, match=r"no answer to A web\.test: "):
        await first(source(server, "A"))
    server.rcode, server.silent = dns.rcode.NOERROR, True
    with pytest.raises(SourceError, match=r"no answer to SRV web\.test: "):
        await first(source(server))
