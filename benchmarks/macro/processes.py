"""Start processes on chosen cores, account for their CPU time and memory, end them by id."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
END_GRACE_S = 10.0
"""Time that a process has to end by itself after SIGTERM."""


class StartError(Exception):
    """A process ended at once or never became ready; the text holds the end of its log."""


@dataclass(frozen=True)
class CpuTime:
    """CPU seconds of one process. `total` is exact; `user` and `system` count whole ticks."""

    total_s: float
    user_s: float
    system_s: float

    def __sub__(self, earlier: "CpuTime") -> "CpuTime":
        return CpuTime(
            self.total_s - earlier.total_s,
            self.user_s - earlier.user_s,
            self.system_s - earlier.system_s,
        )

    def __add__(self, other: "CpuTime") -> "CpuTime":
        return CpuTime(
            self.total_s + other.total_s,
            self.user_s + other.user_s,
            self.system_s + other.system_s,
        )


NO_TIME = CpuTime(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Memory:
    """Bytes. PSS shares a page among those who map it, so PSS adds up over processes."""

    pss: int
    rss: int

    def __add__(self, other: "Memory") -> "Memory":
        return Memory(self.pss + other.pss, self.rss + other.rss)


@dataclass(frozen=True)
class Process:
    """A process that was started here, and its log."""

    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """The root of the process tree."""
        return self.popen.pid

    def raise_if_ended(self) -> None:
        """Raises StartError with the end of the log when the process is no longer there."""
        if self.popen.poll() is not None:
            raise StartError(f"ended with {self.popen.returncode}:\n{self.log_tail()}")

    def log_tail(self) -> str:
        """The last lines that it wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def end(self) -> None:
        """SIGTERM, then SIGKILL for whatever of the tree is left after the grace."""
        members = tree(self.pid)
        if self.popen.poll() is None:
            self.popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(END_GRACE_S)
        if self.popen.poll() is None:
            for pid in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.popen.wait()


def start(
    argv: Sequence[str],
    core: int,
    directory: Path,
    environment: Mapping[str, str] | None = None,
) -> Process:
    """Starts `argv` on one core; its output goes to ``output.log`` in `directory`."""
    log = directory / "output.log"
    with log.open("wb") as output:
        popen = subprocess.Popen(
            ["taskset", "-c", str(core), *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=directory,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # a Ctrl-C ends the benchmark, which then ends its processes
        )
    return Process(popen, log)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tree(pid: int) -> list[int]:
    """The process and all its living descendants, the root first."""
    members = [pid]
    for member in members:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for task in (PROC / str(member) / "task").iterdir():
                members += [int(child) for child in (task / "children").read_text().split()]
    return members


def parse_ticks(stat: str) -> tuple[int, int]:
    """``/proc/PID/stat`` → user ticks, system ticks (fields 14 and 15 of proc(5)).

    The command name, field 2, may hold spaces and parentheses, so counting begins behind it.
    """
    fields = stat[stat.rindex(")") + 2 :].split()
    return int(fields[11]), int(fields[12])


def process_clock(pid: int) -> int:
    """The clock id of a process's CPU time, all its threads together.

    As glibc's clock_getcpuclockid(3) builds it, which Python does not offer: the pid inverted,
    shifted by three, with CPUCLOCK_SCHED (2). Nanoseconds, where /proc/PID/stat has ticks of 10 ms.
    """
    return (~pid << 3) | 2


def cpu_by_process(root: int) -> dict[int, CpuTime]:
    """CPU time of every process of the tree."""
    times = {}
    for pid in tree(root):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, OSError):
            user, system = parse_ticks((PROC / str(pid) / "stat").read_text())
            total_s = time.clock_gettime(process_clock(pid))
            times[pid] = CpuTime(total_s, user / TICKS_PER_S, system / TICKS_PER_S)
    return times


def cpu_between(before: dict[int, CpuTime], after: dict[int, CpuTime]) -> dict[int, CpuTime]:
    """What each process used between two readings; a process that began in between, all it has."""
    return {pid: cpu - before.get(pid, NO_TIME) for pid, cpu in after.items()}


def parse_memory(smaps_rollup: str) -> Memory:
    """``/proc/PID/smaps_rollup`` → bytes (its ``kB`` are KiB)."""
    sizes = {}
    for line in smaps_rollup.splitlines():
        name, colon, value = line.partition(":")
        if colon and value.strip().endswith("kB"):
            sizes[name] = int(value.split()[0]) * 1024
    return Memory(pss=sizes["Pss"], rss=sizes["Rss"])


def memory_by_process(root: int) -> dict[int, Memory]:
    """Memory of every process of the tree."""
    sizes = {}
    for pid in tree(root):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            sizes[pid] = parse_memory((PROC / str(pid) / "smaps_rollup").read_text())
    return sizes
