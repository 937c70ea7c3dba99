from collections.abc import Callable

from benchmarks.macro.rounds import interleave
from benchmarks.macro.samples import Sample
from tests.unit.benchmarks.cells import sample


def silent(_line: str) -> None:
    pass


def scripted(name: str, order: list[str], steals: list[float]) -> Callable[[], Sample]:
    left = iter(steals)

    def cell() -> Sample:
        order.append(name)
        return sample(steal=next(left, 0.0))

    return cell


def test_cells_alternate() -> None:
    order: list[str] = []
    cells = {name: scripted(name, order, []) for name in "ABC"}
    rounds = interleave(cells, 2, silent)
    assert "".join(order) == "ABCABC"
    assert len(rounds.kept) == 2
    assert rounds.quiet


def test_a_noisy_cell_drops_its_whole_round_which_is_repeated() -> None:
    order: list[str] = []
    cells = {"A": scripted("A", order, []), "B": scripted("B", order, [0.03])}
    rounds = interleave(cells, 2, silent)
    assert "".join(order) == "ABABAB"
    assert list(rounds.dropped) == ["B: steal 3.0%"]
    assert len(rounds.kept) == 2


def test_attempts_are_bounded_and_a_few_quiet_rounds_are_kept() -> None:
    order: list[str] = []
    rounds = interleave({"A": scripted("A", order, [0.5, 0.0, 0.5, 0.5])}, 2, silent)
    assert len(order) == 4
    assert (len(rounds.kept), len(rounds.dropped), rounds.quiet) == (1, 3, True)


def test_without_a_quiet_round_the_noisy_ones_are_shown_as_such() -> None:
    rounds = interleave({"A": scripted("A", [], [0.5] * 4)}, 2, silent)
    assert len(rounds.kept) == 4
    assert not rounds.quiet
