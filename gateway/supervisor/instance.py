"""What a supervisor is started with, and what it demands of it."""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from gateway.control.publication import Publication
from gateway.listener import Listener
from gateway.supervisor.children import Child
from gateway.supervisor.run_dir import RunDir
from gateway.upstreams.report import UpstreamStates

__all__ = ["ChildMain", "Instance", "SharedSegment"]


class SharedSegment(UpstreamStates, Protocol):
    """What the supervisor uses of the shared segment."""

    def last_beat(self, slot: int) -> int: ...
    def add(self, slot: int, counter: str, delta: int) -> None: ...
    def reset_gauges(self, slot: int) -> None: ...
    def share(self, part: int) -> int | None: ...


ChildMain = Callable[[Child, socket.socket, Publication], int]
"""The main function of a child: its place, its end of the channel, the Plan → exit code."""


@dataclass
class Instance:
    """What the supervisor was started with."""

    run_dir: RunDir
    segment: SharedSegment
    http: Listener
    control_listeners: list[Listener]
    """Of the control process: ``server.status``, ``server.admin``."""
    publication: Publication
    config_path: str
    run_worker: ChildMain
    run_control: ChildMain
    started: float = field(default_factory=time.monotonic)
