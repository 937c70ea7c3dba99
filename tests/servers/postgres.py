"""A real PostgreSQL on a Unix socket and a free port, one cluster for the whole test run."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

from tests.servers.redis import free_port

START_TIMEOUT_S = 30.0
ACCOUNT = "postgres" if os.geteuid() == 0 else None
"""PostgreSQL refuses to run as root; its package makes this account."""


def binary(name: str) -> str:
    """The program's path: Debian keeps it out of PATH, in a directory for each major version."""
    found = shutil.which(name)
    if found is not None:
        return found
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    assert versions, f"{name} is not installed; `make test` installs it"
    return str(versions[0])


class PostgresServer:
    """One cluster; ``database()`` makes an empty database in it. Not durable, therefore fast."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="gateway-postgres-"))
        self.port = free_port()
        if ACCOUNT is not None:
            shutil.chown(self.directory, ACCOUNT)
        self._data = self.directory / "data"
        self._run(
            "initdb", "-D", str(self._data), "-U", "gateway", "-A", "trust", "-E", "UTF8", "-N"
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.directory),
            "fsync": "off",
            "max_connections": "200",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [binary("postgres"), "-D", str(self._data), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=ACCOUNT,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._psql("postgres", "SELECT 1").returncode != 0:
            assert self._process.poll() is None, (self.directory / "server.log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.05)

    def database(self) -> str:
        """Make a database; returns its URL, ``postgresql://gateway@127.0.0.1:PORT/NAME``."""
        name = f"test_{uuid.uuid4().hex}"
        made = self._psql("postgres", f"CREATE DATABASE {name}")
        assert made.returncode == 0, made.stderr
        return f"postgresql://gateway@127.0.0.1:{self.port}/{name}"

    def stop(self) -> None:
        """Stop it at once; its data stays for the next ``start``."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(START_TIMEOUT_S)
            self._process = None

    def close(self) -> None:
        """Stop it and remove what it wrote."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _psql(self, database: str, statement: str) -> subprocess.CompletedProcess[str]:
        at = ["-h", str(self.directory), "-p", str(self.port), "-U", "gateway", "-d", database]
        return subprocess.run(
            [binary("psql"), *at, "-q", "-c", statement], capture_output=True, text=True
        )

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [binary(program), *arguments],
            capture_output=True,
            text=True,
            user=ACCOUNT,
            cwd=self.directory,
        )
        assert done.returncode == 0, done.stderr
