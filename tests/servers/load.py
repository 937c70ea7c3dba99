"""A closed-loop load of keep-alive clients that notes everything that goes wrong."""

import asyncio
import threading
import time
from dataclasses import dataclass, field

# An answer that takes longer has failed, whatever it says.
DEADLINE_S = 5.0


@dataclass
class Load:
    """Runs ``clients`` connections in a thread of its own until ``stop``."""

    address: tuple[str, int]
    clients: int = 16
    target: str = "/0"
    fields: str = ""
    """Lines of the head, each with its end."""
    statuses: tuple[int, ...] = (200,)
    """What counts as an answer."""
    body: bytes | None = b"done"
    """What must be in it; None: anything."""
    answered: int = 0
    reconnects: int = 0
    failures: list[tuple[float, str]] = field(default_factory=list)
    """Monotonic time and what was wrong."""

    def start(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(2 * DEADLINE_S)
        assert not self._thread.is_alive(), "the load did not end"

    async def _run(self) -> None:
        await asyncio.gather(*(self._client() for _ in range(self.clients)))

    async def _client(self) -> None:
        first = True
        while not self._stop.is_set():
            if not first:
                self.reconnects += 1
            first = False
            try:
                reader, writer = await asyncio.open_connection(*self.address)
            except OSError as error:
                self.failures.append((time.monotonic(), f"connect: {error!r}"))
                await asyncio.sleep(0.01)
                continue
            try:
                while not self._stop.is_set():
                    await asyncio.wait_for(self._exchange(reader, writer), DEADLINE_S)
                    self.answered += 1
            except (OSError, EOFError, AssertionError, TimeoutError) as error:
                self.failures.append((time.monotonic(), f"exchange: {error!r}"))
            finally:
                writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"GET {self.target} HTTP/1.1\r\nHost: load\r\n{self.fields}\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert int(head.split(b" ")[1]) in self.statuses, head
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        assert self.body in (None, body), body
