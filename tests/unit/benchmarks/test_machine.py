import pytest

from benchmarks.macro.machine import (
    CoreTicks,
    core_use,
    parse_core_ticks,
    parse_cpu_model,
    parse_total_memory,
)

STAT = """\
cpu  300 0 100 900 20 0 10 30 5 0
cpu0 100 10 50 400 10 3 7 20 5 0
cpu1 200 0 50 500 10 0 3 10 0 0
intr 12345 0 0
ctxt 99
"""


def test_cores_are_told_apart_and_guest_time_is_not_counted_twice() -> None:
    cores = parse_core_ticks(STAT)
    assert cores.keys() == {0, 1}
    assert cores[0] == CoreTicks(total=600, idle=410, steal=20)


def test_shares_of_a_window() -> None:
    use = core_use(CoreTicks(1000, 800, 10), CoreTicks(1200, 850, 12))
    assert use.steal == pytest.approx(0.01)
    assert use.busy == pytest.approx((200 - 50 - 2) / 200)


def test_a_window_without_a_tick_is_idle() -> None:
    ticks = CoreTicks(1000, 800, 10)
    assert core_use(ticks, ticks).busy == 0


def test_cpu_model() -> None:
    assert parse_cpu_model("processor\t: 0\nmodel name\t: AMD EPYC 7763\n") == "AMD EPYC 7763"
    assert parse_cpu_model("processor\t: 0\n") == "unknown"


def test_total_memory_is_in_bytes() -> None:
    assert parse_total_memory("MemTotal:       16384 kB\nMemFree: 1 kB\n") == 16384 * 1024
    with pytest.raises(ValueError, match="MemTotal"):
        parse_total_memory("MemFree: 1 kB\n")
