"""Stored routes."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from gateway.store.database import Database
from gateway.store.definitions import SectionTable
from gateway.store.tables import gateway_routes as table

__all__ = ["Routes"]


class Routes(SectionTable):
    """The table ``gateway_routes``."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, table.c.name)

    def columns(self, section: Mapping[str, Any]) -> dict[str, Any]:
        """Path, service, methods and whether a caller is needed; as much as there is room for."""
        methods = section.get("methods") or "*"
        text = methods if isinstance(methods, str) else ",".join(map(str, methods))
        return {
            "path_pattern": str(section.get("path", "")),
            "service_name": _fitting(table.c.service_name, _service(section)),
            "method": _fitting(table.c.method, text),
            "auth_required": section.get("auth", "required") == "required",
            "definition": dict(section),
        }

    def section(self, row: sa.RowMapping) -> dict[str, Any]:
        """The same way back."""
        section = {"path": row["path_pattern"], "service": row["service_name"]}
        if row["method"] not in ("", "*"):
            section["methods"] = str(row["method"]).split(",")
        if not row["auth_required"]:
            section["auth"] = "none"
        return section


def _service(section: Mapping[str, Any]) -> str:
    """Of a split without a name of its own, the first part: other programs read the column."""
    parts = section.get("split")
    first = parts[0] if isinstance(parts, list) and parts else None
    other = first.get("service", "") if isinstance(first, dict) else ""
    return str(section.get("service") or other)


def _fitting(column: sa.Column[Any], text: str) -> str:
    assert isinstance(column.type, sa.String)
    return text[: column.type.length]
