"""Operations on the shares of splits: releases are steered by them, without a reload.

A share lies in the shared memory of this host. It is in force in all workers when the call is
answered, and is forgotten with a restart, or when the split in the configuration is another one:
what shall last is a weight there. Other hosts are asked in the same way.
"""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.control.admin.bodies import Page, SplitChange, SplitPartView, SplitView
from gateway.control.admin.errors import ApiError, FieldProblem
from gateway.control.admin.operation import Call, Operation, page_of
from gateway.control.instance import Instance
from gateway.store.errors import NotFound, Superseded
from gateway.upstreams.splits import shares_of

__all__ = ["Splits"]

Route = Mapping[str, Any]


class Splits:
    """The routes in force that divide their requests."""

    def __init__(self, instance: Instance, decided: Callable[[int], None]) -> None:
        """`decided` is told the place of a part whose share has been set."""
        self._instance = instance
        self._decided = decided

    def operations(self) -> list[Operation]:
        """Their rows of the table."""
        many, one = "/api/v1/splits", "/api/v1/splits/{name}"
        return [
            Operation("GET", many, "listSplits", "List routes that divide their requests.",
                      "viewer", self.list, Page[SplitView], paged=True),
            Operation("GET", one, "getSplit", "Show how a route divides its requests.", "viewer",
                      self.get, SplitView),
            Operation("PATCH", one, "changeSplit",
                      "Give parts of a split other shares, at once, on this host.", "operator",
                      self.change, SplitView, SplitChange, conditional=True),
        ]  # fmt: skip

    async def list(self, call: Call) -> Page[SplitView]:
        """The cursor is a number: how many were shown."""
        text = call.query("after") or "0"
        begin = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
        views = [self._view(route) for route in self._instance.publication.splits]
        numbered = [*enumerate(views, 1)][begin:]

        async def rows(limit: int) -> list[tuple[int, SplitView]]:
            return numbered[:limit]

        return await page_of(call, rows, lambda row: row[1], lambda row: str(row[0]))

    async def get(self, call: Call) -> SplitView:
        """By the route's name."""
        return self._view(self._route(call.name))

    async def change(self, call: Call) -> SplitView:
        """Written to the audit log first: what nobody can write down is not done.

        Meanwhile another call, a canary's watch or a reload may have come before it. Seen before
        the entry is committed, it takes the entry back.
        """
        before = self._view(self._route(call.name))
        self._planned(call)
        async with call.desk.store.transaction():
            await call.desk.record("split.change", call.name, before, call.body)
            self._planned(call)
        route, fresh = self._planned(call)
        for part, share in zip(route["split"], fresh, strict=True):
            if share != self._instance.segment.share(part["place"]):
                self._instance.segment.set_share(part["place"], share)
                self._decided(part["place"])
        return self._view(route)

    def _planned(self, call: Call) -> tuple[Route, Sequence[int | None]]:
        """The route as it is now, and the permille of each part afterwards. Superseded."""
        route = self._route(call.name)
        version = self._view(route).version
        if call.expected not in (None, version):
            raise Superseded(version)
        return route, self._checked(route, call.body)

    def _route(self, name: str) -> Route:
        found = (route for route in self._instance.publication.splits if route["name"] == name)
        if (route := next(found, None)) is None:
            raise NotFound(f"there is no route {name} with a split; only named ones can be asked")
        return route

    def _service(self, part: Mapping[str, Any]) -> str:
        return str(self._instance.publication.services[part["service"]]["name"])

    def _checked(self, route: Route, body: SplitChange) -> Sequence[int | None]:
        """The permille of each part afterwards."""
        split, share = route["split"], self._instance.segment.share
        names = [self._service(part) for part in split]
        for name in body.shares:
            if name not in names:
                there = ", ".join(names)
                raise _invalid(f"shares.{name}", f"is no part of this split; its parts are {there}")
            if names.count(name) > 1:
                raise _invalid(f"shares.{name}", "is several parts of this split; which is meant?")
        wanted = body.shares
        permille_of = _permille({n: value for n, value in wanted.items() if value is not None})
        fresh = [
            permille_of.get(name) if name in wanted else share(part["place"])
            for part, name in zip(split, names, strict=True)
        ]
        total = sum(permille for permille in fresh if permille is not None)
        rest = sum(
            part["weight"] for part, permille in zip(split, fresh, strict=True) if permille is None
        )
        if total > 1000:
            raise _invalid("shares", f"make {total / 1000:g} together, more than 1")
        if total < 1000 and not rest:
            raise _invalid("shares", f"make {total / 1000:g} together; who gets the rest?")
        return fresh

    def _view(self, route: Route) -> SplitView:
        split, decided = route["split"], self._instance.segment.share
        shares = shares_of(split, decided)
        fixed = [decided(part["place"]) for part in split]
        parts = [
            SplitPartView(
                service=self._service(part),
                weight=part["weight"],
                share=round(share, 4),
                is_set=permille is not None,
            )
            for part, share, permille in zip(split, shares, fixed, strict=True)
        ]
        canary = route["canary"]
        return SplitView(
            name=route["name"],
            path=route["path"],
            parts=parts,
            canary=None if canary is None else parts[canary["part"]].service,
            # Of what is to be seen: a canary's watch changes shares, too, and keeps no count.
            version=zlib.crc32(repr((route["path"], fixed)).encode()) % 10**9,
        )


def _permille(shares: Mapping[str, float]) -> dict[str, int]:
    """Rounded together, by largest remainder: three thirds are a whole."""
    rounded = {name: math.floor(share * 1000) for name, share in shares.items()}
    missing = round(sum(shares.values()) * 1000) - sum(rounded.values())
    by_remainder = sorted(shares, key=lambda name: rounded[name] - shares[name] * 1000)
    for name in by_remainder[:missing]:
        rounded[name] += 1
    return rounded


def _invalid(field: str, problem: str) -> ApiError:
    return ApiError(
        "invalid", "the shares are not valid", [FieldProblem(field=field, problem=problem)]
    )
