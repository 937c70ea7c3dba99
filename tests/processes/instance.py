"""A real ``gateway run`` on free ports, as the tests drive it. Every process is ended by its id."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

Value = TypeVar("Value")

STANDIN = Path(__file__).with_name("standin.py")
GATEWAY = (sys.executable, "-c", "from gateway.cli import main; main()")
"""The command, from this source tree."""
DEADLINE_S = 15.0
"""Longest wait of a test for anything. The machine may be busy with other work."""

CONFIG = """\
server:
  http: 127.0.0.1:0
  admin: 127.0.0.1:0
  status: 127.0.0.1:0
  workers: {workers}
  run_dir: {run_dir}
  drain_timeout: {drain_timeout}
  log: {{ access: {access_log} }}
{sections}store: {{ url: "{store_url}" }}
services:
  web: {{ endpoints: [ http://{upstream} ] }}
routes:
  - {{ path: "{route}", service: web, auth: none{policies} }}
"""


def eventually(look: Callable[[], Value], what: str, deadline_s: float = DEADLINE_S) -> Value:
    """Look until the answer is true; fails the test, naming ``what``, if it does not become so."""
    end = time.monotonic() + deadline_s
    while not (value := look()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what}")
        time.sleep(0.02)
    return value


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"  # a zombie nobody waits for


class Instance:
    """One configuration file and the process that runs it."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.directory = directory
        self.config = directory / "gateway.yaml"
        self.run_dir = directory / "run"
        self.stderr = directory / "stderr.log"
        self.stdout = directory / "stdout.log"
        self.settings = {
            "workers": 2, "run_dir": self.run_dir, "drain_timeout": "10s", "access_log": "off",
            "upstream": "127.0.0.1:9", "store_url": f"sqlite:///{directory}/gateway.db",
            "route": "/{path...}", "sections": "", "policies": "",
        } | settings  # fmt: skip
        self.write_config()
        self.environment: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None

    def write_config(self, extra: str = "") -> None:
        fresh = self.config.with_suffix(".new")
        fresh.write_text(CONFIG.format(**self.settings) + extra)
        fresh.rename(self.config)

    def start(self, *arguments: str, ready: bool = True, data_plane: str = "standin") -> None:
        command = [sys.executable, str(STANDIN)]
        if data_plane != "standin":
            command = [*GATEWAY, "run"]
        with self.stderr.open("ab") as stderr, self.stdout.open("ab") as stdout:
            self.process = subprocess.Popen(
                [*command, "-c", str(self.config), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=os.environ | self.environment,
            )
        if ready:
            self.wait_ready()

    def wait_ready(self) -> None:
        def all_up() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.stderr.read_text()
            with contextlib.suppress(OSError, ValueError):
                status = self.status()
                return status["control"]["up"] and all(w["up"] for w in status["workers"])
            return False

        eventually(all_up, "every process is ready")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(DEADLINE_S)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(DEADLINE_S)

    def verb(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``gateway VERB`` against this instance."""
        return subprocess.run(
            [*GATEWAY, *arguments, "--set", f"server.run_dir={self.run_dir}"],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S * 2,
        )

    def ask(self, command: str) -> dict[str, Any]:
        from gateway.supervisor.client import NotRunning, ask

        try:
            return ask(self.run_dir, command, lambda text: None)
        except NotRunning as error:
            raise ConnectionRefusedError(str(error)) from error

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.ask("status")["status"]
        return status

    def worker_pids(self) -> list[int]:
        return [worker["pid"] for worker in self.status()["workers"]]

    def address(self, name: str) -> tuple[str, int]:
        host, _, port = self.status()["addresses"][f"server.{name}"].rpartition(":")
        return host, int(port)

    def admin_token(self) -> str:
        """Of the role admin: printed once, when the store was made."""
        pattern = re.compile(r"admin token, shown only this once: (gwa_\S+)\n")
        eventually(lambda: pattern.search(self.log()), "the first admin token")
        found = pattern.search(self.log())
        assert found is not None
        return found[1]

    def admin(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """One call of the admin API → status and answer."""
        fields = {"authorization": f"Bearer {self.admin_token()}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        with connection(self.address("admin")) as link:
            if body is not None:
                fields["content-type"] = "application/json"
            link.request(method, f"/api/v1{path}", json.dumps(body) if body else None, fields)
            response = link.getresponse()
            return response.status, json.loads(response.read() or b"null")

    def log(self) -> str:
        return self.stderr.read_text()

    def wait_for_log(self, text: str) -> None:
        eventually(lambda: text in self.log(), f"{text!r} in the log")


@contextlib.contextmanager
def connection(address: tuple[str, int]) -> Iterator[http.client.HTTPConnection]:
    link = http.client.HTTPConnection(*address, timeout=DEADLINE_S)
    try:
        yield link
    finally:
        link.close()


def fetch(
    address: tuple[str, int], path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """One request on a connection of its own → status, headers (lower case), body."""
    with connection(address) as link:
        link.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        response = link.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return response.status, fields, response.read()


def fetch_json(address: tuple[str, int], path: str, **headers: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(fetch(address, path, **headers)[2])
    return document
