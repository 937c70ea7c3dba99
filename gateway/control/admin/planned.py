"""Operations on routes, services and policies, and on the configuration that they are part of.

What is written here has been tried first: with it, everything else that serves must still serve.
The answer comes when it is in force in every worker.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.administration.definitions import (
    add_definition,
    definitions_of,
    delete_definition,
    replace_definition,
)
from gateway.config import ConfigError
from gateway.config.stored import (
    KINDS,
    Kind,
    Quarantined,
    Stored,
    StoredSection,
    merge,
    public_section,
)
from gateway.control.admin.bodies import (
    Configuration,
    DefinitionChange,
    DefinitionCreation,
    DefinitionView,
    DiscoveryView,
    Page,
    QuarantinedRow,
)
from gateway.control.admin.errors import ApiError, FieldProblem
from gateway.control.admin.operation import Call, Operation, page_of
from gateway.control.instance import Instance
from gateway.control.publish import ConfigSource
from gateway.control.store_link import StoreLink
from gateway.store.definitions import Definition
from gateway.store.errors import NotFound

__all__ = ["PLURALS", "PlannedSections", "configuration_operation"]

PLURALS: dict[Kind, str] = {"route": "routes", "service": "services", "policy": "policies"}


def configuration_operation(instance: Instance) -> Operation:
    """Shows what is in force."""

    async def show(call: Call) -> Configuration:
        publication = instance.publication
        rows = [QuarantinedRow(**_fields(row)) for row in publication.quarantined]
        return Configuration(
            generation=publication.generation, config=publication.config, quarantined=rows
        )

    return Operation(
        "GET", "/api/v1/config", "getConfiguration", "Show what is in force.", "viewer", show,
        Configuration,
    )  # fmt: skip


class PlannedSections:
    """One kind of them."""

    def __init__(
        self, kind: Kind, instance: Instance, link: StoreLink, source: ConfigSource
    ) -> None:
        self._kind = kind
        self._instance = instance
        self._link = link
        self._source = source

    def operations(self) -> list[Operation]:
        """Their rows of the table."""
        kind, plural = self._kind, PLURALS[self._kind]
        many, one = f"/api/v1/{plural}", f"/api/v1/{plural}/{{name}}"
        title = kind.capitalize()
        return [
            Operation("GET", many, f"list{plural.capitalize()}",
                      f"List {plural}, those of the file first.", "viewer", self.list,
                      Page[DefinitionView], paged=True),
            Operation("POST", many, f"create{title}", f"Add a {kind}; it is live at once.",
                      "operator", self.create, DefinitionView, DefinitionCreation, 201),
            Operation("GET", one, f"get{title}", f"Show a {kind}.", "viewer", self.get,
                      DefinitionView),
            Operation("PUT", one, f"replace{title}", f"Replace a {kind}; it is live at once.",
                      "operator", self.replace, DefinitionView, DefinitionChange,
                      conditional=True),
            Operation("DELETE", one, f"delete{title}", f"Remove a {kind}, at once.", "operator",
                      self.delete, status=204, conditional=True),
        ]  # fmt: skip

    async def list(self, call: Call) -> Page[DefinitionView]:
        """The cursor is a number: how many were shown."""
        text = call.query("after") or "0"
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise ApiError("bad_request", "after must be what an answer gave as next")
        stored = await definitions_of(call.desk.store, self._kind).list()
        views = [*self._of_file().values(), *map(self._view, stored)]
        numbered = [*enumerate(views, 1)][int(text) :]

        async def rows(limit: int) -> list[tuple[int, DefinitionView]]:
            return numbered[:limit]

        return await page_of(call, rows, lambda row: row[1], lambda row: str(row[0]))

    async def get(self, call: Call) -> DefinitionView:
        """By name."""
        row = await definitions_of(call.desk.store, self._kind).get(call.name)
        if row is not None:
            return self._view(row)
        if (view := self._of_file().get(call.name)) is not None:
            return view
        raise NotFound(f"there is no {self._kind} {call.name}")

    async def create(self, call: Call) -> DefinitionView:
        """Tried first, live when answered."""
        body: DefinitionCreation = call.body
        await self._try(body.name, body.definition)
        row = await add_definition(call.desk, self._kind, body.name, body.definition)
        return await self._put_in_force(row)

    async def replace(self, call: Call) -> DefinitionView:
        """Tried first, live when answered."""
        body: DefinitionChange = call.body
        await self._must_be_stored(call)
        await self._try(call.name, body.definition)
        row = await replace_definition(
            call.desk, self._kind, call.name, body.definition, call.expected
        )
        return await self._put_in_force(row)

    async def delete(self, call: Call) -> None:
        """Tried first, gone when answered."""
        await self._must_be_stored(call)
        await self._try(call.name, None)
        await delete_definition(call.desk, self._kind, call.name, call.expected)
        await self._link.refresh()
        await self._reload()

    # --- trying ------------------------------------------------------------------------------

    async def _must_be_stored(self, call: Call) -> None:
        if await definitions_of(call.desk.store, self._kind).get(call.name) is None:
            self._refuse_if_of_file(call.name)
            raise NotFound(f"there is no {self._kind} {call.name} in the store")

    def _refuse_if_of_file(self, name: str) -> None:
        if name in self._of_file():
            text = f"{self._kind} {name} stands in the configuration file; change it there"
            raise ApiError("read_only", text)

    async def _try(self, name: str, section: Mapping[str, Any] | None) -> None:
        """Merge as if it were stored (None: as if it were not), and refuse what would not serve."""
        self._refuse_if_of_file(name)
        self._check_name(name, section)
        await self._link.refresh()
        try:
            loaded = self._source.load()
        except ConfigError as error:
            text = "the configuration file has mistakes, so that nothing can be tried; mend it"
            problems = [FieldProblem(field="", problem=str(p)) for p in error.problems]
            raise ApiError("broken_file", text, problems) from error
        rows = self._link.stored.sections
        others = [row for row in rows if (row.kind, row.name) != (self._kind, name)]
        after = others if section is None else [*others, StoredSection(self._kind, name, section)]
        after.sort(key=lambda row: (list(KINDS).index(row.kind), row.name))
        _, quarantined_before = merge(loaded, Stored(rows))
        _, quarantined_after = merge(loaded, Stored(tuple(after)))
        known = {(row.kind, row.name) for row in quarantined_before}
        self._judge(name, [
            row for row in quarantined_after
            if (row.kind, row.name) not in known or (row.kind, row.name) == (self._kind, name)
        ])  # fmt: skip

    def _judge(self, name: str, harmed: Sequence[Quarantined]) -> None:
        own = [row for row in harmed if (row.kind, row.name) == (self._kind, name)]
        if own:
            problems = [FieldProblem(field="definition", problem=row.problem) for row in own]
            raise ApiError("invalid", f"the {self._kind} is not valid: {own[0].problem}", problems)
        if harmed:
            text = "; ".join(f"{row.kind} {row.name}: {row.problem}" for row in harmed)
            raise ApiError("breaks_others", f"others would no longer serve: {text}")

    def _check_name(self, name: str, section: Mapping[str, Any] | None) -> None:
        inner = name if section is None else section.get("name", name)
        if self._kind == "route" and inner != name:
            problem = FieldProblem(field="definition.name", problem="must be the name, or left out")
            raise ApiError("invalid", "the route has two names", [problem])

    # --- putting in force --------------------------------------------------------------------

    async def _put_in_force(self, row: Definition) -> DefinitionView:
        await self._link.refresh()
        problem = await self._reload()
        view = self._view(row)
        if problem is None:
            return view
        return view.model_copy(update={"state": "pending", "problem": problem})

    async def _reload(self) -> str | None:
        """Why it is not in force, or None if it is."""
        try:
            outcome = await self._instance.reload()
        except TimeoutError:
            return "the workers have not answered yet"
        return None if outcome["ok"] else "; ".join(outcome["problems"])

    def _view(self, row: Definition) -> DefinitionView:
        publication = self._instance.publication
        problems = {(bad.kind, bad.name): bad.problem for bad in publication.quarantined}
        problem = problems.get((self._kind, row.name))
        live = row.name in self._in_force()
        return DefinitionView(
            name=row.name,
            discovery=self._discovery(row.name),
            status=self._status(row.name),
            source="store",
            state="quarantined" if problem else "live" if live else "pending",
            problem=problem,
            version=row.version,
            created_at=row.created_at,
            updated_at=row.updated_at,
            definition=public_section(self._kind, row.section),
        )

    def _in_force(self) -> dict[str, Any]:
        """All of this kind in the Plan by name, those of the file first."""
        found = self._instance.publication.config.get(KINDS[self._kind], {})
        if isinstance(found, list):
            return {route["name"] or route["path"]: route for route in found}
        return dict(found)

    def _discovery(self, name: str) -> DiscoveryView | None:
        if self._kind != "service":
            return None
        found = {report.service: report for report in self._instance.discovered()}
        if (report := found.get(name)) is None:
            return None
        confirmed = report.confirmed
        return DiscoveryView(
            source=report.source,
            state=report.state,
            age_s=None if confirmed is None else round(time.monotonic() - confirmed, 1),
            failures=report.failures,
        )

    def _status(self, name: str) -> dict[str, Any] | None:
        if self._kind != "service":
            return None
        return next((one for one in self._instance.services() if one["name"] == name), None)

    def _of_file(self) -> dict[str, DefinitionView]:
        publication = self._instance.publication
        bad = {row.name for row in publication.quarantined if row.kind == self._kind}
        stored = {row.name for row in self._link.stored.sections if row.kind == self._kind} - bad
        return {
            name: DefinitionView(
                name=name,
                source="file",
                state="live",
                discovery=self._discovery(name),
                status=self._status(name),
                definition=section,
            )
            for name, section in self._in_force().items()
            if name not in stored
        }


def _fields(row: Quarantined) -> dict[str, Any]:
    return {"kind": row.kind, "name": row.name, "problem": row.problem}
