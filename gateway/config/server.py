"""The ``server`` section: where the gateway listens and what it allows."""

import os
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Le
from pydantic import Field, PlainSerializer, PlainValidator

from gateway.config.addresses import Address, ListenAddress, Network
from gateway.config.section import Section
from gateway.config.values import (
    SIZE_SCHEMA,
    Directory,
    Duration,
    Many,
    OptionalDuration,
    OptionalSize,
    Text,
    WholeNumber,
    Workers,
    format_size,
    parse_size,
    parse_zone,
    text_schema,
)

MAX_KEYS = 1 << 25
"""4 GiB of address space."""
KIB = 1 << 10
MIB = 1 << 20
MIN_HEAD = 1 * KIB
"""Bytes. A browser's request with one cookie does not fit into less."""
MAX_HEAD = 1 * MIB
"""Bytes. Every connection may hold a head of this size in memory."""


def parse_head_size(value: object) -> int:
    """As `parse_size`, between `MIN_HEAD` and `MAX_HEAD`."""
    size = parse_size(value)
    if not MIN_HEAD <= size <= MAX_HEAD:
        raise ValueError(
            f"must be between {format_size(MIN_HEAD)} and {format_size(MAX_HEAD)}, not {value}"
        )
    return size


HeadSize = Annotated[
    int,
    PlainValidator(parse_head_size),
    PlainSerializer(format_size),
    SIZE_SCHEMA,
]


def default_run_dir() -> str:
    """``/run/gateway`` for root, else under ``$XDG_RUNTIME_DIR``, else in ``/tmp`` by user id."""
    if os.geteuid() == 0:
        return "/run/gateway"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if Path(runtime).is_absolute():
        return str(Path(runtime) / "gateway")
    return f"/tmp/gateway-{os.geteuid()}"


class Limits(Section):
    """What one client may take: bytes, time, connections."""

    head: HeadSize = 16 * KIB
    """Size of a request's head (request line and all fields). More is refused with 431."""
    body: OptionalSize = 10 * MIB
    """Size of a request's body; a route may set its own. More is refused with 413."""
    head_timeout: Duration = 10.0
    """Time from a request's first byte to the end of its head. Later is refused with 408."""
    body_timeout: Duration = 30.0
    """In each such time a body must bring 240 bytes per second. Less is refused with 408."""
    idle_timeout: Duration = 75.0
    """How long a connection may stay open between two requests."""
    connections: Annotated[int, Ge(1), Le(1_000_000), WholeNumber] = 20_000
    """Open client connections of the whole instance, shared evenly by the workers."""


class Overload(Section):
    """When a worker has too much to do: it refuses with 503 `overloaded` what matters least, by
    the `criticality` of routes.
    """

    in_flight: Annotated[int, Ge(1), Le(1_000_000), WholeNumber] | None = None
    """Requests under way of the whole instance, shared evenly by the workers. Sheddable routes are
    refused from 80 % of it on, normal ones above it, critical ones never."""
    loop_lag: OptionalDuration = 0.0
    """How late the event loop may be, such as `50ms`. While it is later, fewer and fewer requests
    are let in: sheddable ones first, then normal ones."""


class Log(Section):
    """Where the logs go and how much they say."""

    access: Text = "stdout"
    """One JSON line per request: `stdout`, `stderr`, `off` or the path of a file."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least serious message that is logged."""
    format: Literal["json", "console"] = "json"
    """The form of the messages: `json` for machines, `console` for people."""


class Server(Section):
    """Where the gateway listens, how many processes it has, what it allows a client."""

    http: ListenAddress = Address("0.0.0.0", 8000)
    """Where clients connect. Port 0 takes a free one."""
    admin: ListenAddress = Address("127.0.0.1", 8001)
    """Where the admin API is served."""
    status: ListenAddress = Address("127.0.0.1", 8007)
    """Where `/livez`, `/readyz`, `/health`, `/metrics` and `/version` are served."""
    workers: Workers = "auto"
    """Number of worker processes; `auto` is one for each core that the gateway may use."""
    trusted_proxies: Many[Network] = ()
    """Networks whose `X-Forwarded-*` and `X-Correlation-ID` are believed."""
    limits: Limits = Limits()
    """What one client may take."""
    rate_limit_keys: Annotated[int, Ge(1000), Le(MAX_KEYS), WholeNumber] = 1_000_000
    """Callers whose rate limits a host remembers at the same time. Each takes 128 bytes of address
    space, and memory once it is used."""
    overload: Overload = Overload()
    """When a worker has too much to do."""
    drain_timeout: Duration = 30.0
    """How long running requests may take to finish when the gateway stops."""
    encoded_slashes: Literal["reject", "keep"] = "reject"
    """What becomes of `%2F` in a path: refused with 400, or kept as it is."""
    zone: Annotated[str | None, PlainValidator(parse_zone), text_schema("name")] = None
    """The zone in which this gateway runs: endpoints in the same one come first."""
    run_dir: Directory = Field(
        default_factory=default_run_dir,
        json_schema_extra={
            "x-default": "/run/gateway (root), $XDG_RUNTIME_DIR/gateway or /tmp/gateway-UID"
        },
    )
    """Directory of the control socket, the pid file and the last good plan."""
    log: Log = Log()
    """Where the logs go and how much they say."""

    @property
    def listeners(self) -> dict[str, Address]:
        """Key → where it listens."""
        return {"http": self.http, "admin": self.admin, "status": self.status}
