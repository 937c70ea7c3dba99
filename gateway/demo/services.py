"""The demo services as ASGI applications: one function each, small realistic JSON."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

__all__ = ["SERVICES"]

ANY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
BODY_LIMIT = 1024 * 1024
"""Bytes of JSON that a demo service reads."""
EVENT_PAUSE_S = 0.5
CHUNK = 64 * 1024
"""Bytes of a video in one chunk."""
MAX_VIDEO = 1024 * 1024 * 1024
"""Bytes. A download may be as large as anybody wants to test with, within reason."""


def json_response(content: object, status: int = 200) -> Response:
    """One line of JSON."""
    body = orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)
    return Response(body, status, media_type="application/json")


async def json_body(request: Request) -> dict[str, object]:
    """The JSON object in the request. HTTPException 400 or 413 if there is none."""
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > BODY_LIMIT:
            raise HTTPException(413)
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise HTTPException(400, f"the body is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise HTTPException(400, "the body must be a JSON object")
    return content


def number(request: Request, name: str, default: int, highest: int) -> int:
    """A number from the query, from 1 to ``highest``. HTTPException 400 if it is not one."""
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= highest):
        raise HTTPException(400, f"{name} must be a number from 1 to {highest}")
    return int(text)


def service(name: str, *routes: BaseRoute) -> ASGIApp:
    """An application with these routes, a health check and an echo of what was received."""

    async def healthz(request: Request) -> Response:
        return json_response({"status": "ok", "service": name})

    async def echo(request: Request) -> Response:
        body_bytes = 0
        async for piece in request.stream():
            body_bytes += len(piece)
        return json_response(
            {
                "service": name,
                "method": request.method,
                "path": request.url.path,
                "query": request.url.query,
                "headers": [[key, value] for key, value in request.headers.items()],
                "body_bytes": body_bytes,
            }
        )

    async def refuse(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return json_response({"error": error.detail}, error.status_code)

    common = [
        Route("/healthz", healthz),
        Route("/echo", echo, methods=ANY_METHOD),
        Route("/echo/{path:path}", echo, methods=ANY_METHOD),
    ]
    return Starlette(routes=[*routes, *common], exception_handlers={HTTPException: refuse})


def by_id(rows: dict[int, dict[str, object]]) -> Callable[[Request], object]:
    """A handler that answers with one row."""

    async def handler(request: Request) -> Response:
        row = rows.get(request.path_params["id"])
        if row is None:
            raise HTTPException(404, "no such id")
        return json_response({"id": request.path_params["id"], **row})

    return handler


def listing(name: str, rows: dict[int, dict[str, object]]) -> Callable[[Request], object]:
    """A handler that answers with all rows."""

    async def handler(request: Request) -> Response:
        return json_response({name: [{"id": key, **row} for key, row in rows.items()]})

    return handler


# --- identity ---------------------------------------------------------------------------------

USERS: dict[int, dict[str, object]] = {
    1: {"email": "ada@example.org", "name": "Ada", "roles": ["teacher"]},
    2: {"email": "grace@example.org", "name": "Grace", "roles": ["student"]},
}


def identity() -> ASGIApp:
    """Who the users are."""

    async def me(request: Request) -> Response:
        return json_response({"userId": request.headers.get("x-user-id")})

    return service(
        "identity",
        Route("/users", listing("users", USERS)),
        Route("/users/{id:int}", by_id(USERS)),
        Route("/me", me),
    )


# --- content ----------------------------------------------------------------------------------

COURSES: dict[int, dict[str, object]] = {
    1: {"title": "Networks from the wire up", "lessons": 12, "level": "beginner"},
    2: {"title": "Queues and back-pressure", "lessons": 8, "level": "advanced"},
}


def content() -> ASGIApp:
    """What is taught."""
    return service(
        "content",
        Route("/courses", listing("courses", COURSES)),
        Route("/courses/{id:int}", by_id(COURSES)),
    )


# --- commerce and payments --------------------------------------------------------------------


def commerce() -> ASGIApp:
    """A shop: ``POST /orders`` with ``{"course": 1}``."""
    numbers = itertools.count(1001)

    async def order(request: Request) -> Response:
        course = (await json_body(request)).get("course")
        if not isinstance(course, int) or course not in COURSES:
            raise HTTPException(422, "course must be the id of a course")
        return json_response({"order": next(numbers), "course": course, "state": "placed"}, 201)

    prices: dict[int, dict[str, object]] = {
        1: {"course": 1, "amount": "49.00", "currency": "EUR"},
        2: {"course": 2, "amount": "89.00", "currency": "EUR"},
    }
    return service(
        "commerce",
        Route("/prices", listing("prices", prices)),
        Route("/orders", order, methods=["POST"]),
    )


def payments() -> ASGIApp:
    """Pays orders: ``POST /payments`` with ``{"order": 1001}``."""
    numbers = itertools.count(1)

    async def pay(request: Request) -> Response:
        order = (await json_body(request)).get("order")
        if not isinstance(order, int):
            raise HTTPException(422, "order must be a number")
        return json_response({"payment": next(numbers), "order": order, "state": "settled"}, 201)

    return service("payments", Route("/payments", pay, methods=["POST"]))


# --- live-classes -----------------------------------------------------------------------------

CLASSES: dict[int, dict[str, object]] = {
    1: {"title": "Ask me about sockets", "teacher": "Ada", "live": True},
}


def live_classes() -> ASGIApp:
    """Lessons as they happen: ``/classes/1/events`` is a stream of server-sent events."""

    async def events(request: Request) -> Response:
        count = number(request, "count", default=5, highest=10_000)
        return StreamingResponse(
            _events(count), media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    return service(
        "live-classes",
        Route("/classes", listing("classes", CLASSES)),
        Route("/classes/{id:int}/events", events),
    )


async def _events(count: int) -> AsyncIterator[bytes]:
    for position in range(1, count + 1):
        data = orjson.dumps({"attendees": 40 + position})
        yield b"id: %d\nevent: attendance\ndata: %s\n\n" % (position, data)
        if position < count:
            await asyncio.sleep(EVENT_PAUSE_S)


# --- vod --------------------------------------------------------------------------------------

VIDEOS: dict[int, dict[str, object]] = {
    1: {"title": "Lesson 1: bytes", "seconds": 610},
    2: {"title": "Lesson 2: frames", "seconds": 745},
}


def vod() -> ASGIApp:
    """Recordings: ``/videos/1/download?size=N`` sends N bytes in chunks."""

    async def download(request: Request) -> Response:
        size = number(request, "size", default=1024 * 1024, highest=MAX_VIDEO)
        return StreamingResponse(_video(size), media_type="video/mp4")

    return service(
        "vod",
        Route("/videos", listing("videos", VIDEOS)),
        Route("/videos/{id:int}/download", download),
    )


async def _video(size: int) -> AsyncIterator[bytes]:
    chunk = bytes(CHUNK)
    for start in range(0, size, CHUNK):
        yield chunk[: min(CHUNK, size - start)]


SERVICES: dict[str, Callable[[], ASGIApp]] = {
    "identity": identity,
    "content": content,
    "commerce": commerce,
    "payments": payments,
    "live-classes": live_classes,
    "vod": vod,
}
"""Name → maker of the application, in the order in which ports are given."""
