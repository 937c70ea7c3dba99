"""The other end of the control socket: ask a running instance, from another process."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from gateway.supervisor.run_dir import CONTROL_SOCKET

__all__ = ["NotRunning", "ask"]

ANSWER_TIMEOUT_S = 90.0
"""Of silence. Longer than a reload may take; a drain sends progress every second."""


class NotRunning(Exception):
    """No instance answers in this directory."""


def ask(run_dir: Path, command: str, on_progress: Callable[[str], None]) -> dict[str, Any]:
    """Send a command; returns its result (see ``gateway.supervisor.commands``).

    Raises NotRunning, and OSError if the socket may not be used or nothing comes for a long time.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(ANSWER_TIMEOUT_S)
        try:
            sock.connect(str(run_dir / CONTROL_SOCKET))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotRunning(str(run_dir)) from error
        sock.sendall(orjson.dumps({"command": command}) + b"\n")
        result: dict[str, Any] | None = None
        # To the end of the stream: after `stop` that is the end of the process.
        with sock.makefile("rb") as lines:
            for line in lines:
                answer = orjson.loads(line)
                if "progress" in answer:
                    on_progress(answer["progress"])
                else:
                    result = answer
    if result is None:
        raise ConnectionAbortedError("the gateway ended before it had answered")
    return result
