"""Unix sockets in the run_dir that only this user can connect to."""

import os
import socket
from pathlib import Path

from gateway.listener import BACKLOG

__all__ = ["bind_unix"]


def bind_unix(path: Path) -> socket.socket:
    """Bind and listen; a socket that an earlier process of this instance has left is replaced."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)  # the file is 0600 from its first moment
    try:
        sock.bind(str(path))
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(mask)
    sock.listen(BACKLOG)
    sock.setblocking(False)
    return sock
