"""The upstream of every peer: nginx with one worker, one fixed answer, lasting connections."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.macro import request
from benchmarks.macro.processes import Process, free_port, start
from benchmarks.macro.ready import wait_ready

CONNECTIONS = 20_000
"""Twice the largest number of connections of any scenario."""

CONFIGURATION = """\
daemon off;
worker_processes 1;
worker_rlimit_nofile {connections};
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    large_client_header_buffers 8 16k;
    client_body_temp_path {directory}/client;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            default_type application/json;
            return 200 '{body}';
        }}
        location = {keys_path} {{
            default_type application/json;
            return 200 '{keys}';
        }}
        location = {echo_path} {{
            default_type text/plain;
            return 200 "{echo}";
        }}
    }}
}}
"""

ECHOED = (
    "connection",
    "x-correlation-id",
    "x-request-id",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "transfer-encoding",
    "content-length",
)
"""Fields that a proxy may add or drop, echoed besides those of the request."""


def echo_template() -> str:
    """A line of nginx variables each: what the upstream has received and over which connection."""
    names = [name.lower() for name, _ in request.FIELDS] + list(ECHOED)
    lines = [f"{name}: $http_{name.replace('-', '_')}" for name in names]
    lines += ["request: $request", "connection-serial: $connection"]
    lines += ["connection-requests: $connection_requests"]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Upstream:
    """A running upstream."""

    process: Process
    port: int


def configure(directory: Path, port: int) -> Path:
    """Writes nginx's configuration and returns its path."""
    path = directory / "upstream.conf"
    path.write_text(
        CONFIGURATION.format(
            directory=directory,
            port=port,
            connections=CONNECTIONS,
            body=request.BODY,
            keys_path=request.KEYS_PATH,
            keys=request.key_set(),
            echo_path=request.ECHO_PATH,
            echo=echo_template(),
        )
    )
    return path


@contextmanager
def running(directory: Path, core: int) -> Iterator[Upstream]:
    """Runs the upstream on a core until the block is left."""
    port = free_port()
    process = start(["nginx", "-c", str(configure(directory, port))], core, directory)
    try:
        wait_ready(process, port)
        yield Upstream(process, port)
    finally:
        process.end()
