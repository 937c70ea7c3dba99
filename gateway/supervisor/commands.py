"""The control socket: how the command line talks to a running supervisor.

A Unix socket that only its owner can open. One JSON object per line: the client sends
``{"command": "reload"}``, and gets any number of ``{"progress": "…"}`` lines and then one result,
``{"ok": true, …}`` or ``{"ok": false, "error": "…"}``. The supervisor itself serves it, so that it
answers when the control process is dead.
"""

import logging
import os
import selectors
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from gateway.supervisor.errors import StartError
from gateway.supervisor.stream import Stream

__all__ = ["CommandServer", "Reply"]

LINE_LIMIT = 4096
"""Bytes. A command is a few words; more is not one of ours."""

log = logging.getLogger(__name__)


class Reply:
    """Where the answer to one command goes. Without effect once the client has gone."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def progress(self, text: str) -> None:
        """Tell the client what long work is doing."""
        self._stream.send(orjson.dumps({"progress": text}) + b"\n")

    def done(self, ok: bool, **result: Any) -> None:
        """Answer, and end the conversation."""
        self._stream.send(orjson.dumps({"ok": ok, **result}) + b"\n")
        self._stream.finish()


class CommandServer:
    """Accepts clients on ``path`` and calls ``handler(command, reply)`` for each command."""

    def __init__(
        self,
        selector: selectors.BaseSelector,
        path: Path,
        handler: Callable[[str, Reply], None],
    ) -> None:
        self._selector = selector
        self._path = path
        self._handler = handler
        self._clients: set[Stream] = set()
        self.sock = _listen(path)
        selector.register(self.sock, selectors.EVENT_READ, self._accept)

    def close(self) -> None:
        """Stop listening; answers that are on their way are still sent by the kernel."""
        self._selector.unregister(self.sock)
        self.sock.close()
        self._path.unlink(missing_ok=True)

    def release(self) -> None:
        """In a forked child: close the descriptors, and leave the selector and the path alone."""
        self.sock.close()
        for client in self._clients:
            client.sock.close()

    def _accept(self, mask: int) -> None:
        try:
            sock, _ = self.sock.accept()
        except OSError:  # the client has gone, or this process has no descriptor left
            return
        buffer = bytearray()

        def on_data(data: bytes) -> None:
            buffer.extend(data)
            line, end, _ = buffer.partition(b"\n")
            if end:
                buffer.clear()
                self._handle(bytes(line), Reply(stream))
            elif len(buffer) > LINE_LIMIT:
                Reply(stream).done(False, error=f"a command has at most {LINE_LIMIT} bytes")

        stream = Stream(self._selector, sock, on_data, lambda: self._clients.discard(stream))
        self._clients.add(stream)

    def _handle(self, line: bytes, reply: Reply) -> None:
        try:
            command = orjson.loads(line)["command"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            reply.done(False, error='a command is a line such as {"command": "status"}')
            return
        self._handler(str(command), reply)


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # the lock of run_dir is ours: a socket here is a leftover
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)  # the file is 0600 from its first moment
    try:
        sock.bind(str(path))
    except OSError as error:
        sock.close()
        raise StartError(
            f"server.run_dir: cannot make the control socket {path}: {error}. "
            "A Unix socket's path has at most 107 bytes; choose a shorter --set server.run_dir=DIR."
        ) from error
    finally:
        os.umask(mask)
    sock.listen(16)
    sock.setblocking(False)
    return sock
