"""The ``state`` section: where what is short-lived and shared by all hosts is kept."""

from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import PlainSerializer, PlainValidator

from gateway.config.addresses import Address, parse_host, parse_port
from gateway.config.section import Section
from gateway.config.values import Duration, text_schema

DEFAULT_URL = "memory://"
EXPECTED = (
    "must be memory://, redis://HOST:PORT/DB, rediss://…, redis+sentinel://HOST,HOST/NAME/DB or "
    "redis+cluster://HOST,HOST"
)
"""The messages do not repeat the value: it may hold a password."""

_PORTS = {"redis": 6379, "rediss": 6379, "redis+sentinel": 26379, "redis+cluster": 6379}
"""Scheme → the port where none is written."""

Stance = Literal["fail_open", "fail_closed"]


@dataclass(frozen=True, slots=True)
class StateTarget:
    """What a state URL says."""

    kind: Literal["memory", "redis", "sentinel", "cluster"]
    hosts: tuple[Address, ...] = ()
    tls: bool = False
    user: str | None = None
    password: str | None = None
    database: int = 0
    service: str = ""
    """The name of the primary, for Sentinel."""


def parse_state_url(value: object) -> str:
    """A URL that `state_target` can read, as it is written."""
    if not isinstance(value, str):
        raise ValueError(EXPECTED)
    state_target(value)
    return value


def state_target(url: str) -> StateTarget:
    """Take the URL apart. ValueError says what is wrong with it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(EXPECTED) from None
    if url == DEFAULT_URL:
        return StateTarget("memory")
    if parts.scheme not in _PORTS or parts.query or parts.fragment:
        raise ValueError(EXPECTED)
    account, _, places = parts.netloc.rpartition("@")
    user, _, password = account.partition(":")
    hosts = tuple(_host(place, _PORTS[parts.scheme]) for place in places.split(","))
    service, database = _path(parts)
    return StateTarget(
        kind={"redis+sentinel": "sentinel", "redis+cluster": "cluster"}.get(parts.scheme, "redis"),  # type: ignore[arg-type]
        hosts=hosts,
        tls=parts.scheme == "rediss",
        user=unquote(user) or None,
        password=unquote(password) or None,
        database=database,
        service=service,
    )


def _host(place: str, default_port: int) -> Address:
    if not place:
        raise ValueError(f"{EXPECTED}; a host is missing")
    host, port = place, str(default_port)
    if not place.endswith("]") and ":" in place:
        host, _, port = place.rpartition(":")
    return Address(parse_host(host), parse_port(port))


def _path(parts: SplitResult) -> tuple[str, int]:
    """Name of the primary and number of the database."""
    segments = [segment for segment in parts.path.split("/") if segment]
    service = ""
    if parts.scheme == "redis+sentinel":
        if not segments:
            raise ValueError("needs the name of the primary: redis+sentinel://HOST:26379/NAME")
        service = segments.pop(0)
    if parts.scheme in ("redis", "rediss") and "," in parts.netloc:
        raise ValueError("has several hosts; that is redis+sentinel:// or redis+cluster://")
    if len(segments) > 1 or not all(s.isascii() and s.isdigit() for s in segments):
        raise ValueError("the path is the number of a database, such as /0")
    if segments and parts.scheme == "redis+cluster" and int(segments[0]):
        raise ValueError("a cluster has no database but 0")
    return service, int(segments[0]) if segments else 0


def masked_state_url(url: str) -> str:
    """The URL with its password as asterisks."""
    parts = urlsplit(url)
    account, at, places = parts.netloc.rpartition("@")
    user, colon, _ = account.partition(":")
    return f"{parts.scheme}://{user}{colon}{'***' if colon else ''}{at}{places}{parts.path}"


StateUrl = Annotated[
    str,
    PlainValidator(parse_state_url),
    PlainSerializer(masked_state_url),
    text_schema("URL", r"(memory|rediss?|redis\+sentinel|redis\+cluster)://.*"),
]


class WhenAway(Section):
    """What happens while Redis cannot be reached: go on with what this host knows, or refuse."""

    revocations: Stance = "fail_open"
    """`fail_open`: what this host knows counts, revocations of others come late. `fail_closed`: no
    token is accepted. So, too, after a start, until Redis (without one: the store) has told what is
    revoked."""
    logins: Stance = "fail_open"
    """`fail_open`: wrong logins are counted for each host alone. `fail_closed`: nobody logs in."""
    codes: Stance = "fail_closed"
    """`fail_open`: one-time codes are good on the host that made them. `fail_closed`: none are."""


class State(Section):
    """Where what is short-lived and shared by all hosts is kept: revocations, counters, codes."""

    url: StateUrl = DEFAULT_URL
    """`memory://`, `redis://HOST:PORT/DB`, `rediss://…` (TLS), `redis+sentinel://HOST,HOST/NAME/DB`
    or `redis+cluster://HOST,HOST`. An account stands before the host: `redis://USER:PASSWORD@HOST`.
    """
    timeout: Duration = 0.25
    """How long an answer of Redis is waited for."""
    limit_timeout: Duration = 0.05
    """How long a request waits for Redis to decide about a rate limit, before `on_failure` does."""
    when_away: WhenAway = WhenAway()
    """What happens while Redis cannot be reached."""
