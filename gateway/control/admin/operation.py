"""One operation of the admin API: what it takes, who may call it, what it answers.

The table of operations is the single source of the routing and of the OpenAPI document.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel
from starlette.requests import Request

from gateway.administration.desk import Desk
from gateway.administration.views import Role
from gateway.control.admin.bodies import Page
from gateway.control.admin.errors import ApiError
from gateway.control.admin.texts import can_be_kept
from gateway.store.errors import NotFound

__all__ = ["Call", "Operation", "Query", "page_of"]

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
"""Items of a page: an answer stays below a megabyte."""

Row = TypeVar("Row")
Shown = TypeVar("Shown", bound=BaseModel)


@dataclass(frozen=True)
class Call:
    """One request, checked as far as its operation says."""

    request: Request
    desk: Desk
    body: Any
    """The operation's request model; None without one."""
    expected: int | None
    """The version that If-Match names; None if it is not asked for, or any will do (``*``)."""

    @property
    def name(self) -> str:
        """The last part of the path: which one. NotFound for what nothing can be called."""
        name = str(self.request.path_params["name"])
        if not can_be_kept(name):
            raise NotFound("there is nothing of this name")
        return name

    def query(self, key: str) -> str | None:
        """A parameter of the query; None if it is not there or empty."""
        text = self.request.query_params.get(key) or None
        if text is not None and not can_be_kept(text):
            raise ApiError("bad_request", f"{key} must not hold the character U+0000")
        return text

    @property
    def limit(self) -> int:
        """How many items the caller wants at once."""
        text = self.query("limit")
        if text is None:
            return DEFAULT_LIMIT
        if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MAX_LIMIT:
            raise ApiError("bad_request", f"limit must be a number between 1 and {MAX_LIMIT}")
        return int(text)


class Handler(Protocol):
    """Does the work. What it returns is the answer; None is an empty one."""

    def __call__(self, call: Call, /) -> Awaitable[BaseModel | None]: ...


@dataclass(frozen=True)
class Query:
    """A parameter of the query."""

    name: str
    text: str


@dataclass(frozen=True)
class Operation:
    """A row of the table."""

    method: str
    path: str
    id: str
    """Unique; names the operation in the OpenAPI document."""
    summary: str
    role: Role
    """And the roles above it; see `registrars`."""
    handler: Handler
    answer: type[BaseModel] | None = None
    takes: type[BaseModel] | None = None
    status: int = 200
    conditional: bool = False
    """Whether it needs If-Match."""
    query: Sequence[Query] = field(default=())
    paged: bool = False
    registrars: bool = False
    """Whether a registrar may call it, about instances of its service."""


async def page_of(
    call: Call,
    rows: Callable[[int], Awaitable[Sequence[Row]]],
    shown: Callable[[Row], Shown],
    cursor: Callable[[Row], str],
) -> Page[Shown]:
    """A page of what ``rows(limit)`` yields. One more is read, to see whether there is more."""
    found = await rows(call.limit + 1)
    here = found[: call.limit]
    more = len(found) > len(here)
    return Page(items=[shown(row) for row in here], next=cursor(here[-1]) if more else None)
