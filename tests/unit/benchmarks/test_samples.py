import math

import pytest

from benchmarks.macro.samples import Rounds, Sample, spread
from tests.unit.benchmarks.cells import sample


def test_figures_of_a_sample() -> None:
    one = sample(10.0, completed=20_000)
    assert one.cpu_us == pytest.approx(10.0)
    assert one.user_us == pytest.approx(2.5)
    assert one.rate_per_s == pytest.approx(20_000)
    assert one.utilisation == pytest.approx(0.2)


def test_without_an_answer_the_cost_of_one_has_no_bound() -> None:
    assert sample(completed=0).cpu_us == math.inf


@pytest.mark.parametrize(
    ("noisy", "reason"),
    [(sample(steal=0.02), "steal 2.0%"), (sample(foreign=0.2), "took 20%")],
)
def test_noise_is_named(noisy: Sample, reason: str) -> None:
    found = noisy.noise()
    assert found is not None
    assert reason in found


def test_a_quiet_sample_has_no_noise() -> None:
    quiet = sample(steal=0.009, foreign=0.04)
    assert quiet.noise() is None
    assert quiet.late() is None
    assert sample(lateness_ms=11.0).late() is not None


def test_the_load_is_the_limit_only_while_the_proxy_has_time() -> None:
    assert sample(10.0, completed=50_000, load_busy=0.99).load_bound
    assert not sample(10.0, completed=97_000, load_busy=0.99).load_bound
    assert not sample(10.0, completed=50_000, load_busy=0.9).load_bound


def test_spread() -> None:
    assert spread([3.0, 1.0, 2.0]).text() == "2.0 (1.0–3.0)"
    assert spread([1.0, 2.0]).median == 1.5


def test_ratios_are_taken_within_a_round() -> None:
    # The machine was twice as slow in the second round: the ratio does not see it.
    kept = [
        {"a": sample(9.0), "b": sample(10.0)},
        {"a": sample(18.0), "b": sample(20.0)},
    ]
    ratio = Rounds(kept, [], quiet=True).ratio("a", "b", lambda s: s.cpu_us)
    assert ratio.low == pytest.approx(0.9)
    assert ratio.high == pytest.approx(0.9)


def test_a_rate_is_kept_without_failures_and_without_a_queue() -> None:
    assert sample(completed=9_990, offered=10_000).keeps_up
    assert not sample(completed=9_900, offered=10_000).keeps_up
    assert not sample(failed=1).keeps_up


def test_a_cell_that_does_not_keep_up_decides_nothing() -> None:
    rounds = Rounds([{"a": sample(), "b": sample(failed=3)}] * 2, [], quiet=True)
    assert rounds.decide(["a"], True) is True
    assert rounds.decide(["a"], False) is False
    assert rounds.decide(["a", "b"], True) is None
    assert rounds.failed("b") == 6


def test_notes_tell_of_dropped_rounds_and_of_noise() -> None:
    assert Rounds([], [], quiet=True).notes() == []
    (dropped,) = Rounds([], ["a: steal 3.0%"], quiet=True).notes()
    assert "1 rounds dropped: a: steal 3.0%" in dropped
    (noisy,) = Rounds([], [], quiet=False).notes()
    assert "hint" in noisy
