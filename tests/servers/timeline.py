"""A load that remembers when each answer came and what it was, and prints it as a timeline."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

DEADLINE_S = 10.0
ROW_S = 0.5


@dataclass(frozen=True, slots=True)
class Sample:
    """One request: when it began (monotonic), how long it took, what came."""

    began: float
    took: float
    outcome: str
    """The status; with ``fallback`` behind it if one answered; or ``failed``."""


@dataclass
class Timeline:
    """Runs keep-alive clients in a thread of its own until ``stop``."""

    address: tuple[str, int]
    clients: int = 8
    pause_s: float = 0.005
    path: str = "/"
    samples: list[Sample] = field(default_factory=list)
    marks: list[tuple[float, str]] = field(default_factory=list)

    def start(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(2 * DEADLINE_S)
        assert not self._thread.is_alive(), "the load did not end"

    def mark(self, text: str) -> float:
        """Remember that something has happened now."""
        now = time.monotonic()
        self.marks.append((now, text))
        return now

    def between(self, begin: float, end: float) -> list[Sample]:
        return [sample for sample in self.samples if begin <= sample.began < end]

    def print(self, title: str) -> None:
        """A row for each half second."""
        ordered = sorted(self.samples, key=lambda sample: sample.began)
        if not ordered:
            return
        zero = ordered[0].began
        print(f"\n{title}\n    s   requests   p50 ms   p99 ms  answers")
        for row in range(int((ordered[-1].began - zero) / ROW_S) + 1):
            begin = zero + row * ROW_S
            for at, text in self.marks:
                if begin <= at < begin + ROW_S:
                    print(f"{at - zero:5.1f}   -- {text}")
            inside = self.between(begin, begin + ROW_S)
            answers = Counter(sample.outcome for sample in inside)
            print(
                f"{row * ROW_S:5.1f}  {len(inside):9} {percentile(inside, 50) * 1e3:8.1f}"
                f" {percentile(inside, 99) * 1e3:8.1f}  {dict(answers)}"
            )

    async def _run(self) -> None:
        await asyncio.gather(*(self._client() for _ in range(self.clients)))

    async def _client(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                reader, writer = await asyncio.open_connection(*self.address)
            except OSError:
                self.samples.append(Sample(began, time.monotonic() - began, "failed"))
                await asyncio.sleep(0.05)
                continue
            try:
                while not self._stop.is_set():
                    began = time.monotonic()
                    outcome = await asyncio.wait_for(self._exchange(reader, writer), DEADLINE_S)
                    self.samples.append(Sample(began, time.monotonic() - began, outcome))
                    await asyncio.sleep(self.pause_s)
            except (OSError, EOFError, TimeoutError):
                self.samples.append(Sample(began, time.monotonic() - began, "failed"))
            finally:
                writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        writer.write(f"GET {self.path} HTTP/1.1\r\nHost: load\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        fallback = " fallback" if b"x-gateway-fallback" in head else ""
        return head[9:12].decode() + fallback


def percentile(samples: Iterable[Sample], percent: float) -> float:
    """Seconds; 0 without samples."""
    taken = sorted(sample.took for sample in samples)
    return taken[min(len(taken) - 1, int(len(taken) * percent / 100))] if taken else 0.0
