"""What every measured proxy has in common: it can be found, configured, started and asked."""

import re
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from benchmarks.macro import request
from benchmarks.macro.processes import Process, StartError, free_port, start
from benchmarks.macro.ready import wait_ready

CACHE = Path(__file__).parents[2] / ".cache"
"""Where install.py puts what no package of the system offers."""


@dataclass(frozen=True)
class Place:
    """Where an instance lives."""

    directory: Path
    port: int
    upstream_port: int


@dataclass(frozen=True)
class Instance:
    """A peer that answers on a port. The control without a proxy has no process."""

    peer: "Peer"
    place: Place
    process: Process | None

    @property
    def name(self) -> str:
        """The peer's name."""
        return self.peer.name

    @property
    def port(self) -> int:
        """Where to send requests."""
        return self.place.port


class Peer(ABC):
    """A proxy that can be measured. Each runs on one thread, keeps connections alive on both
    sides and writes no access log; what else it adds to a request stands in its module.
    """

    name: ClassVar[str]

    @abstractmethod
    def absent(self) -> str | None:
        """None when it can be started, else what is missing."""

    @abstractmethod
    def version(self) -> str:
        """The version of the installed program."""

    @abstractmethod
    def configure(self, place: Place) -> list[str]:
        """Writes the configuration into the place's directory and returns the command."""

    def paths(self) -> list[str]:
        """The paths that a load asks for, in turn."""
        return [request.PATH]

    @contextmanager
    def running(self, directory: Path, upstream_port: int, core: int) -> Iterator[Instance]:
        """Runs an instance on a core until the block is left; yields when it answers."""
        place = Place(directory, free_port(), upstream_port)
        process = start(self.configure(place), core, directory)
        try:
            wait_ready(process, place.port, self.paths()[0])
            yield Instance(self, place, process)
        except StartError as error:
            raise StartError(f"{self.name}: {error}") from None
        finally:
            process.end()


def absent_command(command: str, package: str) -> str | None:
    """The usual answer of `Peer.absent` for a program of the system."""
    return None if shutil.which(command) else f"`{command}` is missing (Debian: {package})"


def printed_version(argv: list[str]) -> str:
    """The first thing that looks like a version in what a command prints."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    return first_version(done.stdout + done.stderr)


def first_version(text: str) -> str:
    """``nginx version: nginx/1.22.1`` → ``1.22.1``."""
    found = re.search(r"\d+\.\d+(?:\.\d+)?", text)
    return found.group() if found else "unknown"
