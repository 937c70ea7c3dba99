"""The control: no proxy. Shows what generator and upstream can do on their core."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.macro.peers.peer import Instance, Peer, Place, printed_version


class Direct(Peer):
    """Requests go straight to the upstream."""

    name = "direct"

    def absent(self) -> str | None:
        """Never: the upstream is always there."""
        return None

    def version(self) -> str:
        """The upstream's version."""
        return printed_version(["nginx", "-v"])

    def configure(self, place: Place) -> list[str]:
        """There is nothing to start."""
        return []

    @contextmanager
    def running(self, directory: Path, upstream_port: int, core: int) -> Iterator[Instance]:
        """The upstream itself, under this peer's name."""
        yield Instance(self, Place(directory, upstream_port, upstream_port), None)
