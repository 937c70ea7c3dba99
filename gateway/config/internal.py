"""What the Plan has beside the configuration: the login endpoints, as a service like any other."""

from pathlib import Path

from gateway.config.routes import MAX_PRIORITY, Route, RouteLimits
from gateway.config.services import Endpoint, Pool, Service, Timeouts

__all__ = [
    "HEALTH_METHODS",
    "HEALTH_PATH",
    "IDENTITY_SERVICE",
    "IDENTITY_SOCKET",
    "INTERNAL_ROUTES",
    "identity_url",
    "internal_service",
]

HEALTH_PATH = "/health"
"""Answered by the workers themselves, before any route is looked for."""
HEALTH_METHODS = frozenset({"GET", "HEAD"})
IDENTITY_SERVICE = "gateway:identity"
"""No configured service has a colon in its name."""
IDENTITY_SOCKET = "identity.sock"
"""In the run_dir; the control process serves it."""

BODY_LIMIT = 64 * 1024
"""Bytes. Four times what the endpoints read."""


def _route(path: str, *methods: str) -> Route:
    """Nobody has to be logged in to log in; and no configured route takes its place."""
    return Route(
        path=path,
        methods=methods,
        service=IDENTITY_SERVICE,
        priority=MAX_PRIORITY,
        auth="none",
        limits=RouteLimits(body=BODY_LIMIT),
    )


INTERNAL_ROUTES = (_route("/auth/{path...}"), _route("/.well-known/jwks.json", "GET"))


def identity_url(run_dir: str) -> str:
    """Of the control process' Unix socket."""
    return f"unix://{Path(run_dir) / IDENTITY_SOCKET}"


def internal_service(run_dir: str) -> Service:
    """The control process. Its hashes take their time in a flood of logins.

    Connections are closed before uvicorn does it, which is after 5 s: a login that met the end of
    one could not be sent again.
    """
    return Service(
        endpoints=(Endpoint(url=identity_url(run_dir)),),
        timeouts=Timeouts(connect="1s", response="15s", total="30s"),
        pool=Pool(max_connections=64, idle_timeout="3s"),
    )
