"""Refusals of the admin API: stable codes and their status, in one table."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic_core import ErrorDetails

__all__ = ["STATUS", "ApiError", "ErrorBody", "FieldProblem", "field_of", "problems_of"]

STATUS = {
    "bad_request": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "read_only": 409,
    "breaks_others": 409,
    "broken_file": 409,
    "version_mismatch": 412,
    "too_large": 413,
    "not_json": 415,
    "invalid": 422,
    "version_required": 428,
    "internal": 500,
    "store_unavailable": 503,
}
"""Code → status. Codes are never renamed."""


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    field: str
    """Its path, as in `scopes[0]`; empty for the whole."""
    problem: str


class ErrorBody(BaseModel):
    """Every answer that is not a success."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    error: str
    """For people."""
    code: str
    """For programs; one of a fixed set."""
    problems: list[FieldProblem] = []
    """With the code `invalid`: all that is wrong."""


class ApiError(Exception):
    """Ends a call with one row of the table."""

    def __init__(self, code: str, error: str, problems: Sequence[FieldProblem] = ()) -> None:
        super().__init__(error)
        self.status = STATUS[code]
        self.body = ErrorBody(error=error, code=code, problems=list(problems))


def problems_of(errors: Sequence[ErrorDetails]) -> list[FieldProblem]:
    """What pydantic has found, in our words and without the values, which may be secrets."""
    return [FieldProblem(field=field_of(detail["loc"]), problem=_text(detail)) for detail in errors]


def field_of(steps: Sequence[str | int]) -> str:
    """As in ``scopes[0]``."""
    text = ""
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _text(detail: Any) -> str:
    if detail["type"] == "extra_forbidden":
        return "there is no such field"
    if detail["type"] == "missing":
        return "is missing"
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    message: str = detail["msg"]
    return message[0].lower() + message[1:]
