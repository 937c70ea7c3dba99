"""Interleave the cells: A B C A B C …, so that a drift of the machine touches all alike."""

from collections.abc import Callable, Mapping

from benchmarks.macro.samples import Round, Rounds, Sample, noise_of

ATTEMPTS_PER_ROUND = 2
"""A noisy round is repeated; after twice the wanted number the machine is called noisy."""

Cell = Callable[[], Sample]


def interleave(
    cells: Mapping[str, Cell], rounds: int, say: Callable[[str], None] = print
) -> Rounds:
    """Runs the cells in turn until `rounds` rounds were quiet or the attempts are used up."""
    kept: list[Round] = []
    noisy: list[Round] = []
    dropped: list[str] = []
    for attempt in range(1, rounds * ATTEMPTS_PER_ROUND + 1):
        round_ = {name: cell() for name, cell in cells.items()}
        reason = noise_of(round_)
        if reason is None:
            kept.append(round_)
        else:
            noisy.append(round_)
            dropped.append(reason)
        say(f"  round {attempt}: {'kept' if reason is None else 'dropped, ' + reason}")
        if len(kept) == rounds:
            break
    if not kept:
        return Rounds(noisy, [], quiet=False)
    return Rounds(kept, dropped, quiet=True)
