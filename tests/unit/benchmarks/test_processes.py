import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.macro.processes import (
    CpuTime,
    Memory,
    cpu_between,
    cpu_by_process,
    memory_by_process,
    parse_memory,
    parse_ticks,
    process_clock,
    start,
    tree,
)

STAT = "1234 (a) b (c) R 1 1 1 0 -1 4194304 5 0 0 0 250 75 1 2 20 0 1 0 99 0 0"


def test_ticks_are_found_behind_a_name_with_parentheses() -> None:
    assert parse_ticks(STAT) == (250, 75)


def test_memory_is_in_bytes() -> None:
    text = "55e0-7ff0 ---p 00000000 00:00 0 [rollup]\nRss:  1604 kB\nPss:   260 kB\n"
    assert parse_memory(text) == Memory(pss=260 * 1024, rss=1604 * 1024)


def test_a_process_that_began_in_between_counts_as_a_whole() -> None:
    before = {1: CpuTime(1.0, 0.5, 0.5), 2: CpuTime(9.0, 9.0, 0.0)}
    after = {1: CpuTime(1.5, 0.75, 0.75), 3: CpuTime(0.25, 0.25, 0.0)}
    used = cpu_between(before, after)
    assert used == {1: CpuTime(0.5, 0.25, 0.25), 3: CpuTime(0.25, 0.25, 0.0)}


def test_the_process_clock_is_that_of_the_kernel() -> None:
    known = time.process_time()
    read = time.clock_gettime(process_clock(os.getpid()))
    assert known <= read <= time.process_time()


def test_the_tree_holds_grandchildren_and_their_cpu_time_and_memory(tmp_path: Path) -> None:
    child = "print(1, flush=True); import time; time.sleep(60)"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    core = min(os.sched_getaffinity(0))
    process = start([sys.executable, "-c", program], core, tmp_path)
    try:
        deadline = time.monotonic() + 10
        while "1" not in process.log.read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        members = tree(process.pid)
        assert len(members) == 2
        assert members[0] == process.pid
        assert all(os.sched_getaffinity(pid) == {core} for pid in members)
        assert all(cpu.total_s > 0 for cpu in cpu_by_process(process.pid).values())
        assert all(size.pss > 0 for size in memory_by_process(process.pid).values())
    finally:
        process.end()
    assert process.popen.returncode is not None


def test_the_end_of_a_process_that_ignores_sigterm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.macro.processes.END_GRACE_S", 0.2)
    program = "trap '' TERM; echo on; while :; do sleep 0.05; done"
    process = start(["bash", "-c", program], min(os.sched_getaffinity(0)), tmp_path)
    while "on" not in process.log.read_text():
        time.sleep(0.01)
    process.end()
    assert process.popen.returncode == -9
    assert subprocess.run(["kill", "-0", str(process.pid)], check=False).returncode != 0
