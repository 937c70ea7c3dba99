"""The sockets that the supervisor binds and keeps, and the limit of open files.

One SO_REUSEPORT socket per worker: each worker has an accept queue of its own. The supervisor keeps
them open, so that the queue of a worker that dies waits for its successor.
"""

import errno
import os
import resource
import socket

from gateway.listener import BACKLOG, Listener
from gateway.supervisor.errors import StartError

__all__ = ["bind", "bind_reuseport", "raise_file_limit"]


def bind(name: str, host: str, port: int, option: str | None = None) -> Listener:
    """Bind and listen on one socket that nobody else may share. StartError if it cannot.

    ``option``: what chooses another port; by default the setting ``name``.
    """
    sock = _listen(name, host, port, reuse_port=False, option=option)
    return Listener(name, [sock], *sock.getsockname()[:2])


def bind_reuseport(name: str, host: str, port: int, count: int) -> Listener:
    """Bind and listen on ``count`` sockets of one port. StartError if it cannot.

    SO_REUSEPORT lets any process of the same user join the port, a second gateway as well, and the
    kernel would split the connections between the two without a word. So the port is taken once
    without it first: that fails if anybody listens there.
    """
    probe = _listen(name, host, port, reuse_port=False)
    port = probe.getsockname()[1]
    probe.close()
    sockets: list[socket.socket] = []
    try:
        sockets.extend(_listen(name, host, port, reuse_port=True) for _ in range(count))
    except StartError:
        for sock in sockets:
            sock.close()
        raise
    return Listener(name, sockets, *sockets[0].getsockname()[:2])


def _listen(
    name: str, host: str, port: int, *, reuse_port: bool, option: str | None = None
) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock: socket.socket | None = None
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
        # A port whose old connections are in TIME_WAIT is free for a new listener.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        if sock is not None:
            sock.close()
        option = option or f"--set {name}=HOST:PORT"
        raise StartError(_bind_message(name, host, port, option, error)) from error
    return sock


def _bind_message(name: str, host: str, port: int, option: str, error: OSError) -> str:
    at = f"{name}: cannot listen on {host}:{port}: {error.strerror or error}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"{at}. Another process has this port: find it with `ss -ltnp 'sport = :{port}'`, "
            f"stop it, or choose another port with {option}."
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"{at}. Ports below 1024 need CAP_NET_BIND_SERVICE: grant it, or choose a port above "
            f"with {option}."
        )
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"{at}. No interface here has this address: `ip address` lists those that exist."
    return f"{at}."


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard one; returns the limit in force.

    An exchange takes two descriptors, and the usual soft limit of 1024 is a relic of select(2).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):  # macOS refuses "infinity"
            return soft
    return os.sysconf("SC_OPEN_MAX") if hard == resource.RLIM_INFINITY else hard
