"""What only the store of all hosts can decide, gathered into calls (cext/lane.pyx)."""

from collections.abc import Callable

Terms = tuple[str, int, int, int | str]
"""Kind, limit, period (ms), burst; to give back to a log: the name of what it holds."""
Question = tuple[str, Terms, int, int]
"""Key, terms, weight, and 1 if it is enforced, 0 if it is only counted, 2 if it is taken whether
it fits or not; then a weight below 0 gives back."""

class Batch:
    """One call of the script, and who waits for its answers."""

    born: float
    """When its first question was asked, by time.monotonic()."""
    name: str
    """Stands in the call; no other call has it."""

    def command(self, sha: bytes, name: str) -> bytes:
        """The call of the script with this hash, encoded (RESP 2)."""

    def read(self, data: bytes) -> bool:
        """Whether `data` is the script's answer and nothing else: then `settle` needs no list."""

    def settle(self, answers: list[int] | None = None) -> None:
        """Hand out the answers: four numbers for each question, or what `read` has read.

        ValueError for another number of them.
        """

    def give_up(self) -> None:
        """There will be no answer."""

class Lane:
    """The questions about those keys that one node of the store has."""

    number: int
    tag: bytes
    """Ends each key, so that a cluster keeps them on one node."""
    away: bool
    """Nobody is asked: who asks decides without the store."""

    @property
    def waits(self) -> bool:
        """Whether a batch has not been taken."""

    def __init__(self, number: int, tag: bytes, on_work: Callable[[], None]) -> None:
        """`on_work` is called when something waits where nothing did."""

    def take(self) -> Batch | None:
        """The batch that has waited for longest."""

    def ask(self, questions: list[Question], answered: Callable[[list[int] | None], None]) -> None:
        """Questions that are not a request's, all or nothing.

        `answered` gets four numbers for each: allowed (of a lease: tokens), what remains, ms until
        all of it is there, ms until a retry. Or None: there is no answer.
        """

    def charge(self, key: str, terms: Terms, weight: int) -> None:
        """Take `weight` whether it fits or not; below 0: give it back. Nobody waits for it."""

def number_of_lane(key: str, lanes: int) -> int:
    """The lane of a key: the same on all hosts."""
