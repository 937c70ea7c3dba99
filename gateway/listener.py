"""The bound sockets of one address: the supervisor binds them, its children serve on them."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["BACKLOG", "Listener"]

BACKLOG = 4096
"""Connections waiting for accept, each socket. The kernel caps it at net.core.somaxconn."""


@dataclass(frozen=True)
class Listener:
    """The bound sockets of one address; all have the same port."""

    name: str
    """The setting it comes from, such as ``server.http``."""
    sockets: Sequence[socket.socket]
    host: str
    port: int
    """As bound: the real port where 0 was asked for."""

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def close(self) -> None:
        """Give the port back, as far as this process holds it."""
        for sock in self.sockets:
            sock.close()
