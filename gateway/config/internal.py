"""What the Plan has beside the configuration: the login endpoints, as a service like any other."""

from pathlib import Path

from gateway.config.compile_service import Intern, endpoint_text
from gateway.config.plan import (
    PlannedEndpoint,
    PlannedPool,
    PlannedRoute,
    PlannedService,
    PlannedTimeouts,
)
from gateway.config.routes import MAX_PRIORITY

__all__ = ["IDENTITY_SERVICE", "IDENTITY_SOCKET", "internal_routes", "internal_service"]

IDENTITY_SERVICE = "gateway:identity"
"""No configured service has a colon in its name."""
IDENTITY_SOCKET = "identity.sock"
"""In the run_dir; the control process serves it."""

BODY_LIMIT = 64 * 1024
"""Bytes. Four times what the endpoints read."""
IDLE_S = 3.0
"""Shorter than the 5 s after which uvicorn closes an idle connection: a login that met the end of
one could not be sent again."""


def internal_service(run_dir: str, intern: Intern) -> PlannedService:
    """The control process' Unix socket."""
    path = str(Path(run_dir) / IDENTITY_SOCKET)
    url = f"unix://{path}"
    label = intern(endpoint_text(IDENTITY_SERVICE, url))
    return PlannedService(
        name=IDENTITY_SERVICE,
        label=intern(IDENTITY_SERVICE),
        host=None,
        balance="weighted_round_robin",
        hash_by=None,
        max_load=0.0,
        sticky_cookie=None,
        slow_start=0.0,
        panic_threshold=0.0,
        endpoints=(PlannedEndpoint(url, None, None, path, 1, None, label),),
        timeouts=PlannedTimeouts(connect=1.0, response=15.0, idle=15.0, total=30.0),
        pool=PlannedPool(max_connections=64, max_queue=128, idle_timeout=IDLE_S),
        discovery=None,
        health=None,
        outlier=None,
        breaker=None,
        bulkhead=None,
        retries=None,
        fallback=None,
    )


def internal_routes(service: int, intern: Intern) -> list[PlannedRoute]:
    """Nobody has to be logged in to log in; and no configured route takes their place."""
    return [
        _route("/auth/{path...}", (), service, intern),
        _route("/.well-known/jwks.json", ("GET",), service, intern),
    ]


def _route(path: str, methods: tuple[str, ...], service: int, intern: Intern) -> PlannedRoute:
    return PlannedRoute(
        name=path,
        label=intern(path),
        hosts=(),
        path=path,
        methods=methods,
        headers=(),
        query=(),
        priority=MAX_PRIORITY,
        service=service,
        split=(),
        split_by=None,
        strip_prefix=None,
        replace_prefix=None,
        body=BODY_LIMIT,
        auth="none",
        accept=(),
        scopes=(),
        any_scopes=(),
        forward_token=True,
    )
