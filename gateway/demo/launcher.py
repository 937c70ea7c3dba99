"""Starts the demo services, one process each, and a gateway in front of them if asked to."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvloop

from gateway.config import ConfigError
from gateway.control.publish import ConfigSource
from gateway.control.serve import serve
from gateway.demo.login import log_in
from gateway.demo.services import SERVICES
from gateway.listener import Listener
from gateway.supervisor import start
from gateway.supervisor.children import fork
from gateway.supervisor.client import NotRunning, ask
from gateway.supervisor.errors import StartError
from gateway.supervisor.sockets import bind

__all__ = ["DemoOptions", "run"]

START_TIMEOUT_S = 15.0
"""Far more than a start takes, on a machine that does much else."""

START_FAILED = 3
"""As ``gateway run`` exits when it cannot start."""

WAITED_FOR = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)

GATEWAY = "gateway"
"""The gateway's name among the processes; no service is called so."""

CONFIG = """\
# Written by `gateway demo`. Change it, then: gateway reload -c {path}
server:
  http: {http}
  admin: {admin}
  status: {status}
  run_dir: {run_dir}
  workers: {workers}
  log: {{ access: {access_log}, format: console }}
store: {{ url: "sqlite:///{run_dir}/gateway.db" }}
auth: {{ issuer: "http://{http}", access_token_ttl: 12h }}
services:
{services}
rate_limits:
  five_a_minute: {{ algorithm: sliding_window, key: ip, rate: 5/min }}
routes:
{routes}
"""


OPEN = "auth: none"
POLICIES = {
    "identity": "auth: required, scopes: [read]",
    "commerce": "auth: none, rate_limits: [five_a_minute]",
}
"""What the routes of a service ask for; of the others, nothing."""


@dataclass(frozen=True)
class DemoOptions:
    """What ``gateway demo`` was asked for."""

    base_port: int = 0
    """Of the first service, the others follow; 0 takes free ones."""
    with_gateway: bool = False
    http: str = "127.0.0.1:8000"
    admin: str = "127.0.0.1:8001"
    status: str = "127.0.0.1:8007"
    workers: str = "auto"
    access_log: str = "off"


def run(options: DemoOptions, say: Callable[[str], None]) -> int:
    """Run until INT or TERM; returns the exit code. StartError if a port is taken."""
    with (
        tempfile.TemporaryDirectory(prefix="gateway-demo-") as directory,
        _Processes() as processes,
    ):
        listeners = _bind(options.base_port)
        for name, listener in listeners.items():
            processes.start(name, partial(_serve, name, listener))
            say(f"{name:<13} http://{listener.address}")
        if options.with_gateway:
            config = _write_config(Path(directory), listeners, options)
            say(f"{'configuration':<13} {config}")
            processes.start(GATEWAY, partial(_run_gateway, config, listeners))
            _greet(config.parent, processes, say)
        return processes.wait()


class _Processes:
    """The children, by name. Leaving the context ends them all, by their ids."""

    def __init__(self) -> None:
        self._pids: dict[str, int] = {}

    def __enter__(self) -> "_Processes":
        # Blocked, and fetched by sigwait: no handler can run at an awkward moment.
        signal.pthread_sigmask(signal.SIG_BLOCK, WAITED_FOR)
        return self

    def __exit__(self, *exception: object) -> None:
        if GATEWAY in self._pids:  # first, while the services still answer its last requests
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pids[GATEWAY], signal.SIGTERM)
            os.waitpid(self._pids.pop(GATEWAY), 0)
        for pid in self._pids.values():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WAITED_FOR)

    def start(self, name: str, main: Callable[[], int]) -> None:
        """Fork a process that runs ``main``."""

        def unblocked() -> int:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, WAITED_FOR)
            return main()

        self._pids[name] = fork(unblocked, release=lambda: None)

    def wait(self) -> int:
        """Until a signal to stop (0), or until a process ends by itself (its exit code)."""
        while signal.sigwait(WAITED_FOR) == signal.SIGCHLD:
            if (code := self.ended()) is not None:
                return code
        return 0

    def alive(self, name: str) -> bool:
        """Whether a process has not ended, without reaping it."""
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._pids[name], options) is None

    def ended(self) -> int | None:
        """The exit code of a process that has ended; None while all live."""
        for name, pid in self._pids.items():
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                del self._pids[name]
                code = os.waitstatus_to_exitcode(status)
                if name != GATEWAY:
                    print(f"gateway demo: the service {name} has ended", file=sys.stderr)
                return code if code >= 0 else 1
        return None


def _bind(base_port: int) -> dict[str, Listener]:
    ports = [base_port + offset if base_port else 0 for offset in range(len(SERVICES))]
    return {
        name: bind(name, "127.0.0.1", port, "--port PORT")
        for name, port in zip(SERVICES, ports, strict=True)
    }


def _serve(name: str, listener: Listener) -> int:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(SERVICES[name](), listener))
    return 0


def _run_gateway(config: Path, services: Mapping[str, Listener]) -> int:
    for listener in services.values():
        listener.close()
    try:
        return start.run(start.Options(ConfigSource(config)))
    except (StartError, ConfigError) as error:
        print(f"gateway: {error}", file=sys.stderr)
        return START_FAILED


def _write_config(directory: Path, listeners: Mapping[str, Listener], options: DemoOptions) -> Path:
    path = directory / "gateway.yaml"
    path.write_text(
        CONFIG.format(
            path=path,
            run_dir=directory,
            http=options.http,
            admin=options.admin,
            status=options.status,
            workers=options.workers,
            access_log=options.access_log,
            services="\n".join(
                f"  {name}: {{ endpoints: [ http://{listener.address} ] }}"
                for name, listener in listeners.items()
            ),
            routes="\n".join(
                f'  - {{ path: "/{name}/{{path...}}", service: {name}, strip_prefix: /{name}, '
                f"{POLICIES.get(name, OPEN)} }}"
                for name in listeners
            ),
        )
    )
    return path


def _greet(run_dir: Path, processes: _Processes, say: Callable[[str], None]) -> None:
    """Wait until the gateway serves, then show three requests to try."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(NotRunning, OSError):
            status = ask(run_dir, "status", say)["status"]
            if status["healthy"]:
                break
        if not processes.alive(GATEWAY):
            return
        time.sleep(0.02)
    else:
        raise StartError(f"the gateway was not ready within {START_TIMEOUT_S:.0f} s")
    url = f"http://{status['addresses']['server.http']}"
    token = log_in(run_dir, url, deadline)
    say("")
    say("Try (Ctrl-C ends everything):")
    say(f"  curl -i {url}/content/courses                  # open to everybody")
    say(f'  curl -i -H "Authorization: Bearer $(cat {token})" {url}/identity/echo')
    many = f"curl -s -o /dev/null -w '%{{http_code}}\\n' '{url}/commerce/prices?n=[1-7]'"
    say(f"  {many}  # five pass")
