"""Each source with the server that it asks, behind one set of switches."""

import asyncio
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, closing
from pathlib import Path
from typing import Protocol

import dns.exception
import dns.message
import dns.query

from gateway.config.discovery import Discovery, Registry
from gateway.config.stored import Stored
from gateway.control.publication import Publication
from gateway.control.registry import ServiceRegistry
from gateway.store.errors import StoreUnavailable
from gateway.store.store import Store
from gateway.upstreams.discovery.registry import RegistrySource
from gateway.upstreams.discovery.source import EndpointSet, Source, SourceError, open_source
from tests.servers.consul_server import ConsulServer, Instance
from tests.servers.dns_server import DnsServer
from tests.servers.kubernetes_server import KubernetesServer, Pod, endpoint_slice
from tests.servers.redis import free_port

START_TIMEOUT_S = 10.0
DNSMASQ = shutil.which("dnsmasq") or "/usr/sbin/dnsmasq"


class Site(Protocol):
    """A server that knows one service."""

    def source(self) -> Source:
        """A new source that asks it."""
        ...

    def put(self, *numbers: int) -> None:
        """The service has these endpoints now, and no others."""
        ...

    def url(self, number: int) -> str:
        """What the source makes of such an endpoint."""
        ...

    def kill(self) -> None:
        """Nobody answers any more."""
        ...

    def revive(self) -> None: ...

    def close(self) -> None: ...


class NoCatalogue:
    """For sources that do not ask the store, or do so in vain."""

    def version(self) -> int:
        """Nothing changes."""
        return 0

    async def in_use(self, service: str) -> tuple[EndpointSet, float]:
        """There is no store."""
        raise SourceError("there is no store")

    async def changed(self, since: int, timeout_s: float) -> None:
        """Nothing changes."""
        await asyncio.sleep(timeout_s)


def open_(kind: str, **settings: object) -> Source:
    return open_source(Discovery.model_validate({kind: settings}), NoCatalogue())


class DnsAddresses:
    """A records of a server of ours."""

    kind = "A"

    def __init__(self, directory: Path) -> None:
        self.server = DnsServer(ttl_s=0)
        self.put()

    def source(self) -> Source:
        return open_(
            "dns", name="web.test", type=self.kind, port=80, min_ttl="50ms",
            resolver=self.server.address,
        )  # fmt: skip

    def put(self, *numbers: int) -> None:
        self.server.set("web.test", self.kind, *(self.data(number) for number in numbers))

    def data(self, number: int) -> str:
        return f"10.0.0.{number}"

    def url(self, number: int) -> str:
        return f"http://10.0.0.{number}:80"

    def kill(self) -> None:
        self.server.rcode = dns.rcode.SERVFAIL

    def revive(self) -> None:
        self.server.rcode = dns.rcode.NOERROR

    def close(self) -> None:
        self.server.close()


class DnsAddresses6(DnsAddresses):
    """AAAA records."""

    kind = "AAAA"

    def data(self, number: int) -> str:
        return f"fd00::{number}"

    def url(self, number: int) -> str:
        return f"http://[fd00::{number}]:80"


class DnsServices(DnsAddresses):
    """SRV records."""

    kind = "SRV"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        for number in range(1, 5):
            self.server.set(f"host{number}.test", "A", f"10.0.0.{number}")

    def source(self) -> Source:
        return open_(
            "dns", name="web.test", type="SRV", min_ttl="50ms", resolver=self.server.address
        )

    def data(self, number: int) -> str:
        return f"10 1 {8000 + number} host{number}.test."

    def url(self, number: int) -> str:
        return f"http://10.0.0.{number}:{8000 + number}"


class Dnsmasq:
    """A records of a real dnsmasq, whose file of hosts is replaced."""

    def __init__(self, directory: Path) -> None:
        self._hosts = directory / "hosts"
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.put()
        self.revive()

    def source(self) -> Source:
        return open_(
            "dns", name="web.test", port=80, min_ttl="50ms", resolver=f"127.0.0.1:{self._port}"
        )

    def put(self, *numbers: int) -> None:
        self._hosts.write_text("".join(f"10.0.0.{number} web.test\n" for number in numbers))
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)
            self._wait_for({f"10.0.0.{number}" for number in numbers})

    def url(self, number: int) -> str:
        return f"http://10.0.0.{number}:80"

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_TIMEOUT_S)
            self._process = None

    def revive(self) -> None:
        self._process = subprocess.Popen(
            [
                DNSMASQ, "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=",
                f"--port={self._port}", "--listen-address=127.0.0.1", "--bind-interfaces",
                "--no-resolv", "--no-hosts", f"--addn-hosts={self._hosts}", "--local=/test/",
                "--user=", "--group=",
            ],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._wait_for({line.split()[0] for line in self._hosts.read_text().splitlines()})

    def _wait_for(self, addresses: set[str]) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._addresses() != addresses:
            assert self._process.poll() is None, "dnsmasq ended"
            assert time.monotonic() < deadline, f"dnsmasq does not answer {addresses}"
            time.sleep(0.005)

    def _addresses(self) -> set[str] | None:
        question = dns.message.make_query("web.test", "A")
        try:
            answer = dns.query.udp(question, "127.0.0.1", timeout=0.1, port=self._port)
        except (OSError, dns.exception.DNSException):
            return None
        return {record.to_text() for rrset in answer.answer for record in rrset}

    close = kill


class ConsulDouble:
    """Consul's documented HTTP API."""

    def __init__(self, directory: Path) -> None:
        self.server = ConsulServer()

    def source(self) -> Source:
        return open_("consul", address=self.server.address, service="web")

    def put(self, *numbers: int) -> None:
        self.server.register("web", *(Instance(8000 + number) for number in numbers))

    def url(self, number: int) -> str:
        return f"http://10.0.0.1:{8000 + number}"

    def kill(self) -> None:
        self.server.stop()

    def revive(self) -> None:
        self.server.start()

    def close(self) -> None:
        self.server.close()


class KubernetesDouble:
    """The documented API of Kubernetes. Endpoints are spread over two slices."""

    def __init__(self, directory: Path) -> None:
        self.server = KubernetesServer()
        self.put()

    def source(self) -> Source:
        return open_("kubernetes", service="web", port="http", api_server=self.server.address)

    def put(self, *numbers: int) -> None:
        pods = [Pod(f"10.0.0.{number}") for number in numbers]
        self.server.put(endpoint_slice("web-a", *pods[::2]))
        self.server.put(endpoint_slice("web-b", *pods[1::2]))

    def url(self, number: int) -> str:
        return f"http://10.0.0.{number}:8080"

    def kill(self) -> None:
        self.server.stop()

    def revive(self) -> None:
        self.server.start()

    def close(self) -> None:
        self.server.close()


class StoreRegistry:
    """Rows of a real SQLite, written by another program: nobody tells of them."""

    def __init__(self, directory: Path) -> None:
        self._url = f"sqlite:///{directory}/gateway.db"
        self._file = directory / "gateway.db"
        self._is_up = True
        asyncio.run(self._make())

    async def _make(self) -> None:
        async with Store.open(self._url):
            pass

    def source(self) -> Source:
        return OfStore(self._url, lambda: self._is_up)

    def put(self, *numbers: int) -> None:
        with closing(sqlite3.connect(self._file)) as connection, connection:
            connection.execute("DELETE FROM service_registry")
            connection.executemany(
                "INSERT INTO service_registry (service_name, endpoint_url, updated_at)"
                " VALUES ('web', ?, CURRENT_TIMESTAMP)",
                [(self.url(number),) for number in numbers],
            )

    def url(self, number: int) -> str:
        return f"http://10.0.0.{number}:80"

    def kill(self) -> None:
        self._is_up = False

    def revive(self) -> None:
        self._is_up = True

    def close(self) -> None:
        """Each source closes its own store."""


class OfStore:
    """A source with a store of its own, which it closes."""

    def __init__(self, url: str, is_up: Callable[[], bool]) -> None:
        self._url = url
        self._is_up = is_up

    async def sets(self) -> AsyncGenerator[EndpointSet, None]:
        """As those of the source."""
        store = Store(self._url)

        class Link:
            """What is used of a `StoreLink`."""

            stored = Stored()

            def subscribe(self, callback: object) -> None:
                """Nobody tells."""

            async def tried(self) -> None:
                """At once."""

            def store(link) -> Store:
                if not self._is_up():
                    raise StoreUnavailable("it is away")
                return store

        nothing = Publication(1, "{}", {}, 0)
        registry = ServiceRegistry(Link(), nothing)  # type: ignore[arg-type]
        source = RegistrySource(Registry(service="web"), registry)
        try:
            async with aclosing(source.sets()) as sets:
                async for found in sets:
                    yield found
        finally:
            await store.close()


SITES: dict[str, Callable[[Path], Site]] = {
    "dns-a": DnsAddresses,
    "dns-aaaa": DnsAddresses6,
    "dns-srv": DnsServices,
    "dnsmasq": Dnsmasq,
    "consul": ConsulDouble,
    "kubernetes": KubernetesDouble,
    "registry": StoreRegistry,
}
