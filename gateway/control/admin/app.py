"""The admin API as an application."""

from collections.abc import Awaitable, Callable, Iterator

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.administration.passwords import NewPasswords
from gateway.config.auth import Auth
from gateway.config.stored import Kind
from gateway.control.admin.credentials import credential_operations
from gateway.control.admin.dispatch import Dispatcher, refusal_of
from gateway.control.admin.instances import instance_operations
from gateway.control.admin.openapi import openapi_document
from gateway.control.admin.operation import Operation
from gateway.control.admin.people import People
from gateway.control.admin.planned import PLURALS, PlannedSections, configuration_operation
from gateway.control.admin.splits import Splits
from gateway.control.hygiene import OneHost, local_hosts
from gateway.control.instance import Instance
from gateway.control.publish import ConfigSource
from gateway.control.store_link import StoreLink
from gateway.listener import Listener

__all__ = ["admin_app", "table_of"]

Endpoint = Callable[[Request], Awaitable[Response]]


def admin_app(
    instance: Instance,
    listener: Listener,
    link: StoreLink,
    source: ConfigSource,
    decided: Callable[[int], None],
) -> ASGIApp:
    """``/api/v1/…`` and ``/openapi.json``. `decided`: see `Splits`."""
    operations = table_of(instance, link, source, decided)
    routes = [*_routes(operations, Dispatcher(link)), Route("/openapi.json", _document(operations))]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _refuse, Exception: _refuse})
    return OneHost(app, local_hosts(listener))


def table_of(
    instance: Instance, link: StoreLink, source: ConfigSource, decided: Callable[[int], None]
) -> list[Operation]:
    """All operations."""
    kinds: list[Kind] = list(PLURALS)
    planned = [PlannedSections(kind, instance, link, source) for kind in kinds]
    return [
        configuration_operation(instance),
        *(row for sections in planned for row in sections.operations()),
        *Splits(instance, decided).operations(),
        *instance_operations(),
        *People(NewPasswords(lambda: _auth(instance).passwords)).operations(),
        *credential_operations(lambda: _auth(instance)),
    ]


def _auth(instance: Instance) -> Auth:
    """Of the configuration in force."""
    return Auth.model_validate(instance.publication.config["auth"])


def _routes(operations: list[Operation], dispatcher: Dispatcher) -> Iterator[Route]:
    """One for each path: so Allow names all of its methods."""
    paths: dict[str, dict[str, Endpoint]] = {}
    for row in operations:
        paths.setdefault(row.path, {})[row.method] = dispatcher.endpoint(row)
    for path, endpoints in paths.items():
        yield Route(path, _by_method(endpoints), methods=list(endpoints))


def _by_method(endpoints: dict[str, Endpoint]) -> Endpoint:
    async def respond(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await endpoints[method](request)

    return respond


def _document(operations: list[Operation]) -> Endpoint:
    async def respond(request: Request) -> Response:
        body = orjson.dumps(openapi_document(operations), option=orjson.OPT_INDENT_2)
        return Response(body, media_type="application/json")

    return respond


async def _refuse(request: Request, error: Exception) -> Response:
    return refusal_of(error)
