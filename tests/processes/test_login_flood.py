"""Ten thousand wrong logins a minute: nobody else notices."""

import asyncio
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes.instance import eventually
from tests.processes.login import PASSWORD, Gateway, add_ann

RATE = 2 * 10_000 / 60
"""Logins in a second: twice what has to be borne."""
LOGINS = 3000
LONGEST_S = 60.0
"""The first ones wait for hashes, which run when nothing else does."""
ADDRESSES = [f"127.0.0.{n}" for n in range(2, 6)]
"""Whence the flood comes. Each may try a hundred times in fifteen minutes."""
ACCOUNTS = 1000
CONNECTIONS = 32
CALM_S = 1.5
MAX_GROWTH = 64 * 1024 * 1024
"""Bytes, of all processes: two hashes of 19 MiB, what waits, and the counters."""


class Client:
    """One connection that asks again and again."""

    def __init__(self, gateway: Gateway, source: str) -> None:
        self._target = gateway.address("http")
        self._source = source
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self) -> float:
        """Seconds that a proxied request takes."""
        begin = time.perf_counter()
        assert await self._ask(b"GET /open/x HTTP/1.1\r\nHost: a\r\n\r\n") == 200
        return time.perf_counter() - begin

    async def login(self, email: str, password: str) -> tuple[int, float]:
        """Status, and the seconds until it was there."""
        body = json.dumps({"email": email, "password": password}).encode()
        begin = time.perf_counter()
        status = await self._ask(
            b"POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        return status, time.perf_counter() - begin

    async def _ask(self, request: bytes) -> int:
        if self._streams is None:
            address = (self._source, 0)
            self._streams = await asyncio.open_connection(*self._target, local_addr=address)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        if b"connection: close" in head:
            self.close()
        return int(head.split(b" ")[1])

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


class Flood:
    """Wrong logins at a fixed rate, or as fast as they are refused."""

    def __init__(self, gateway: Gateway) -> None:
        self.statuses: Counter[int] = Counter()
        self.refused_s: list[float] = []
        """How long the refusals of those who may not try took."""
        self._gateway = gateway
        self._sent = 0
        self._began = time.monotonic()

    async def run(self) -> None:
        self._began = time.monotonic()
        await asyncio.gather(*(self._client(n) for n in range(CONNECTIONS)))

    async def _client(self, number: int) -> None:
        client = Client(self._gateway, ADDRESSES[number % len(ADDRESSES)])
        while self._sent < LOGINS and time.monotonic() < self._began + LONGEST_S:
            number, self._sent = self._sent, self._sent + 1
            due = self._began + number / RATE
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            email = f"user{number % ACCOUNTS}@example.org"
            status, took_s = await client.login(email, "Wrong-Horse-7!")
            self.statuses[status] += 1
            if status == 429:
                self.refused_s.append(took_s)
        client.close()


async def proxied(gateway: Gateway, until: Callable[[], bool]) -> list[float]:
    """Seconds that requests to a service take, one after the other."""
    client = Client(gateway, "127.0.0.1")
    taken = []
    while not until():
        taken.append(await client.get())
        await asyncio.sleep(0.005)
    client.close()
    return taken


async def login_of_ann(gateway: Gateway) -> int:
    """Tries of somebody else, from elsewhere, until the right password is taken."""
    client = Client(gateway, "127.0.0.9")
    for tries in range(1, 100):
        status, _ = await client.login("ann@example.org", PASSWORD)
        if status == 200:
            client.close()
            return tries
        assert status == 503  # too many passwords wait to be hashed; it does not count as a try
        await asyncio.sleep(0.2)
    raise AssertionError("no login within the flood")


def resident(gateway: Gateway) -> int:
    """Bytes of memory of all processes."""
    status = gateway.status()
    pids = [gateway.pid, status["control"]["pid"], *(w["pid"] for w in status["workers"])]
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * 4096


@pytest.mark.timeout(150)
def test_ten_thousand_wrong_logins_a_minute(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway()
    gateway.text = gateway.text.replace("auth: { lockout: { delay_after: 100 } }\n", "")
    gateway.write_config()
    gateway.in_store(add_ann)
    gateway.begin()
    eventually(lambda: gateway.login(), "logins work")  # memory of a first hash is not growth
    before = resident(gateway)
    flood = Flood(gateway)

    async def look() -> tuple[list[float], list[float], int]:
        end = time.monotonic() + CALM_S
        calm = await proxied(gateway, lambda: time.monotonic() > end)
        flooding = asyncio.create_task(flood.run())
        others, tries, _ = await asyncio.gather(
            proxied(gateway, flooding.done), login_of_ann(gateway), flooding
        )
        return calm, others, tries

    calm, others, tries = asyncio.run(look())
    sent = sum(flood.statuses.values())
    assert sent > LOGINS / 4, "the flood was one"
    assert set(flood.statuses) <= {401, 429, 503}
    assert flood.statuses[401] <= 100 * len(ADDRESSES)
    assert flood.statuses[429] > sent / 2
    assert statistics.median(flood.refused_s) < 0.1
    # The client is on the same cores, and others may be, too: a factor, and some milliseconds.
    assert statistics.median(others) < 3 * statistics.median(calm) + 0.005
    assert tries < 100
    assert resident(gateway) - before < MAX_GROWTH
