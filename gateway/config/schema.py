"""The whole configuration file. Types, defaults and meanings stand here and nowhere else."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from gateway.config.auth import Auth
from gateway.config.limits import PolicyName, RateLimit
from gateway.config.routes import Route
from gateway.config.section import Section
from gateway.config.server import Server
from gateway.config.services import Service
from gateway.config.state import State
from gateway.config.store import Store
from gateway.config.values import Many, Table, parse_name

ServiceName = Annotated[str, BeforeValidator(parse_name)]


class Config(Section):
    """The configuration of a gateway."""

    server: Server = Server()
    """Where the gateway listens, how many processes it has, what it allows a client."""
    services: Table[ServiceName, Service] = Field(default_factory=dict)
    """The upstreams by name."""
    rate_limits: Table[PolicyName, RateLimit] = Field(default_factory=dict)
    """How much may they call: policies by name."""
    routes: Many[Route] = ()
    """Which requests go to which service."""
    store: Store = Store()
    """Where users, keys, sessions, and the stored routes, services and policies are kept."""
    state: State = State()
    """Where what is short-lived and shared by all hosts is kept: revocations, counters, codes."""
    auth: Auth = Auth()
    """Our own tokens and logins, and whose tokens are accepted beside them."""
