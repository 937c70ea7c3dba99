"""The calls of the script about one lane, one at a time, with all that waits (cext/calls.pyx)."""

from collections.abc import Callable

from gateway.cext.conversation import Conversation
from gateway.cext.lane import Lane

class Calls:
    """Sends what waits in its lane, once it has a connection."""

    lane: Lane
    link: Conversation | None
    """None while the node is away."""
    nonce: str
    made: int
    failures: int
    """Calls that failed or came too late, and batches that waited for too long."""
    seconds: float
    """That calls have taken."""

    def __init__(
        self,
        make_lane: Callable[[Callable[[], None]], Lane],
        script: bytes,
        nonce: str,
        wait_s: float,
        failed: Callable[[Exception], None],
    ) -> None:
        """`make_lane` makes the lane from what it calls when something waits.

        `script`: the command that loads it. `nonce`: a text that nobody else has. An answer later
        than `wait_s` is lost. `failed` is called with the error when a call has failed, or is
        late; it calls `end`.
        """

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits, and nothing is under way."""

    def begin(self, link: Conversation, sha: bytes) -> None:
        """The node is there: the script is loaded, and called by `sha`."""

    def end(self) -> None:
        """The node is away: whoever waits, or comes, decides alone."""

    def wake(self) -> None:
        """Something waits: it is sent at the end of this loop turn, with what comes until then."""
