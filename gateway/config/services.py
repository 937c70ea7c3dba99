"""The ``services`` section: the upstreams and how to talk to them."""

import re
from typing import Annotated, Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from annotated_types import Ge, Le
from pydantic import BeforeValidator, ConfigDict, PlainValidator, ValidationInfo, model_validator

from gateway.config.addresses import parse_host, parse_port
from gateway.config.discovery import Discovery
from gateway.config.file_only import refuse_in_a_row
from gateway.config.resilience import (
    Balance,
    Breaker,
    Bulkhead,
    Fallback,
    Health,
    Outlier,
    Retries,
    StickyCookie,
)
from gateway.config.section import Section
from gateway.config.values import (
    Duration,
    Flag,
    OptionalDuration,
    OptionalShare,
    WholeNumber,
    empty_if_none,
    parse_zone,
    shown,
    text_schema,
)

MAX_UNIX_PATH = 107
"""Bytes: ``sun_path`` of Linux's ``sockaddr_un`` has 108 with the final NUL (unix(7))."""
MAX_WEIGHT = 65_535
"""Fits the balancer's integers with room for the sum over all endpoints."""
MAX_PRIORITY = 65_535
"""As in SRV records (RFC 2782)."""


class Target(NamedTuple):
    """Where an endpoint's URL leads: either `host` and `port`, or `unix`."""

    host: str | None
    port: int | None
    unix: str | None


def _unix_target(parts: SplitResult) -> Target:
    if parts.netloc:
        raise ValueError(f"a Unix socket's path is absolute: unix:///{parts.netloc}{parts.path}")
    if parts.path in ("", "/") or "\0" in parts.path:
        raise ValueError("needs the path of a socket: unix:///run/service.sock")
    if len(parts.path.encode()) > MAX_UNIX_PATH:
        raise ValueError(f"a Unix socket's path has at most {MAX_UNIX_PATH} bytes")
    return Target(None, None, parts.path)


def _http_target(parts: SplitResult, url: str) -> Target:
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password")
    if parts.path not in ("", "/"):
        raise ValueError(
            f"must not have a path ({parts.path}); change paths with the route's replace_prefix"
        )
    netloc = parts.netloc
    host, port = netloc, "80"
    if not netloc.endswith("]") and ":" in netloc:
        host, _, port = netloc.rpartition(":")
    if not host:
        raise ValueError(f"needs a host: http://HOST:PORT, not {shown(url)}")
    if ":" in host and not host.startswith("["):
        raise ValueError("an IPv6 address needs brackets: http://[::1]:8080")
    if parse_port(port) == 0:
        raise ValueError("needs a port other than 0")
    return Target(parse_host(host), int(port), None)


def parse_endpoint_url(url: str) -> Target:
    """``http://host:port`` or ``unix:///path.sock`` → `Target`."""
    if not re.fullmatch(r"[\x21-\x7e]+", url):
        raise ValueError("must be printable ASCII without spaces")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"must be a URL such as http://10.0.0.5:8080, not {shown(url)}") from None
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise ValueError("must not have a query or fragment")
    if parts.scheme == "http":
        return _http_target(parts, url)
    if parts.scheme == "unix":
        return _unix_target(parts)
    if parts.scheme == "https":
        raise ValueError("https to endpoints is not supported yet; use http:// or unix://")
    raise ValueError(f"must be http://HOST:PORT or unix:///path/of.sock, not {shown(url)}")


def _checked_url(value: object, info: ValidationInfo) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a URL such as http://10.0.0.5:8080, not {shown(value)}")
    if parse_endpoint_url(value).unix is not None:
        refuse_in_a_row("a Unix socket", info)
    return value


def parse_upstream_host(value: object) -> str | None:
    """``HOST`` or ``HOST:PORT`` for the Host field (RFC 9110 section 7.2), lower case."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f"must be a host such as identity.internal, not {shown(value)}")
    host, colon, port = value, "", ""
    if re.search(r"\]?:[0-9]*$", value) and (value.startswith("[") or value.count(":") == 1):
        host, colon, port = value.rpartition(":")
    if value.endswith("]"):
        host, colon, port = value, "", ""
    if colon:
        parse_port(port)
    parsed = parse_host(host)
    return f"[{parsed}]{colon}{port}" if ":" in parsed else f"{parsed}{colon}{port}"


class Endpoint(Section):
    """One instance of a service. May be written as its URL alone."""

    shorthand = ("string",)

    url: Annotated[
        str,
        PlainValidator(_checked_url),
        text_schema("URL", "(http|unix)://.+"),
    ]
    """`http://HOST:PORT` or `unix:///path/of.sock`; in the store, no socket."""
    weight: Annotated[int, Ge(0), Le(MAX_WEIGHT), WholeNumber] = 1
    """Share of the requests relative to the other endpoints; 0 gets none."""
    zone: Annotated[str | None, PlainValidator(parse_zone), text_schema("name")] = None
    """Where it runs; see `server.zone`."""
    priority: Annotated[int, Ge(0), Le(MAX_PRIORITY), WholeNumber] = 0
    """Endpoints of a higher number serve when too few of the lower ones are usable."""

    @model_validator(mode="before")
    @classmethod
    def _from_url(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value

    @property
    def target(self) -> Target:
        """Where the URL leads."""
        return parse_endpoint_url(self.url)


class Timeouts(Section):
    """How long the gateway waits for an endpoint. `off` waits for ever."""

    connect: OptionalDuration = 1.0
    """Time to open a connection to an endpoint."""
    response: OptionalDuration = 15.0
    """Time from the sent request to the head of the response."""
    idle: OptionalDuration = 60.0
    """Longest pause between two pieces of a body, in either direction."""
    total: OptionalDuration = 0.0
    """Time for the whole exchange."""


class Pool(Section):
    """Connections to a service's endpoints, per worker."""

    max_connections: Annotated[int, Ge(1), Le(65_535), WholeNumber] = 512
    """Open connections to one endpoint."""
    max_queue: Annotated[int, Ge(0), Le(65_535), WholeNumber] = 128
    """Requests that may wait for one to an endpoint; more are refused with 503."""
    idle_timeout: Duration = 60.0
    """How long an unused connection is kept. Shorter than the endpoint's own keep-alive time."""


class Service(Section):
    """An upstream: interchangeable endpoints and how to talk to them."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["endpoints"]}, {"required": ["discovery"]}]}
    )

    endpoints: Annotated[tuple[Endpoint, ...], BeforeValidator(empty_if_none)] = ()
    """The instances of the service: URLs, or `{url, weight, …}`. Either these or `discovery`."""
    discovery: Discovery | None = None
    """Where the instances are found while the gateway runs, in place of `endpoints`."""
    balance: Balance = Balance()
    """How an endpoint is chosen for a request."""
    prefer_zone: Flag = True
    """Whether endpoints in the gateway's own zone (`server.zone`) come first."""
    sticky_cookie: StickyCookie | None = None
    """A cookie that brings a client back to the endpoint that served it first."""
    slow_start: OptionalDuration = 0.0
    """How long an endpoint that came, or came back, gets less than its share."""
    panic_threshold: OptionalShare = 0.5
    """With a smaller share of endpoints left, unhealthy ones are asked, too; `off`: never."""
    timeouts: Timeouts = Timeouts()
    """How long the gateway waits for an endpoint."""
    pool: Pool = Pool()
    """Connections, for each endpoint and worker."""
    host: Annotated[
        str | None,
        PlainValidator(parse_upstream_host),
        text_schema("host"),
    ] = None
    """The `Host` that endpoints see; by default the client's own."""
    health: Health | None = None
    """Checks of each endpoint; none without it."""
    outlier: Outlier | None = None
    """When an endpoint is left out because requests to it fail; never without it."""
    breaker: Breaker | None = None
    """When the service is not asked at all because it fails; never without it."""
    bulkhead: Bulkhead | None = None
    """Bounds of what it may have at the same time; none without it."""
    retries: Retries | None = None
    """When a request is sent again; only on a kept connection that was closed, without it."""
    fallback: Fallback | None = None
    """What is answered when the service cannot; the gateway's own error without it."""
