"""Redis as a cluster of one node, and behind a Sentinel."""

import contextlib
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import quote

from tests.servers.redis import START_TIMEOUT_S, RedisServer, free_port

PASSWORD = "open sesame"
SLOTS = 16384


def start_tls(directory: Path, certificate: Path, key: Path) -> tuple[RedisServer, str]:
    """One server that wants TLS and `PASSWORD`, and its URL."""
    port = free_port()
    files = ("--tls-cert-file", str(certificate), "--tls-key-file", str(key))
    trusted = ("--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no")
    options = ("--tls-port", str(port), *files, *trusted, "--requirepass", PASSWORD)
    server = RedisServer(directory, *options)
    return server, f"rediss://:{quote(PASSWORD)}@localhost:{port}/2"


def start_cluster(directory: Path) -> RedisServer:
    """One node that has all slots."""
    [node] = start_cluster_of(1, directory)
    return node


def start_cluster_of(count: int, directory: Path) -> list[RedisServer]:
    """Primaries that share the slots evenly. One that is gone is missed by nobody else."""
    nodes: list[RedisServer] = []
    try:
        for number in range(count):
            options = ("--cluster-enabled", "yes", "--cluster-require-full-coverage", "no")
            name = f"nodes-{number}.conf"
            nodes.append(RedisServer(directory, *options, "--cluster-config-file", name))
            first, last = SLOTS * number // count, SLOTS * (number + 1) // count - 1
            _cli(nodes[-1].port, "cluster", "addslotsrange", str(first), str(last))
            _cli(nodes[-1].port, "cluster", "meet", "127.0.0.1", str(nodes[0].port))
        for node in nodes:
            _until(partial(_is_whole, node.port))
    except BaseException:
        for node in nodes:
            node.close()
        raise
    return nodes


def _is_whole(port: int) -> bool:
    info = _cli(port, "cluster", "info")
    return f"cluster_slots_ok:{SLOTS}" in info and "cluster_state:ok" in info


class Sentinel:
    """Watches one primary under the name ``primary``."""

    def __init__(self, directory: Path, primary: RedisServer) -> None:
        self.port = free_port()
        config = directory / "sentinel.conf"
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {directory}\n"
            f"sentinel monitor primary 127.0.0.1 {primary.port} 1\n"
            "sentinel down-after-milliseconds primary 500\n"
        )
        self._process = subprocess.Popen(
            ["redis-server", str(config), "--sentinel"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _until(lambda: str(primary.port) in _cli(self.port, "sentinel", "masters"))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._process.kill()
        self._process.wait(START_TIMEOUT_S)


def _cli(port: int, *command: str) -> str:
    with contextlib.suppress(subprocess.CalledProcessError):
        return subprocess.run(
            ["redis-cli", "-p", str(port), *command],
            capture_output=True, text=True, check=True, timeout=START_TIMEOUT_S,
        ).stdout  # fmt: skip
    return ""


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not holds():
        assert time.monotonic() < deadline, "Redis does not come up"
        time.sleep(0.05)
