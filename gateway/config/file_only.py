"""What the configuration file alone may say.

Whoever writes the file runs the host; whoever writes rows of the store need not. A row that names a
file could send what is in it to any address, and one that names a socket could reach whatever
listens there. Every viewer may read a row, so that it holds no secret either.
"""

from typing import Any

from pydantic import AfterValidator, ValidationInfo

__all__ = ["IN_A_ROW", "file_only", "refuse_in_a_row"]

IN_A_ROW = {"in_a_row": True}
"""The context in which a row of the store is validated."""


def refuse_in_a_row(what: str, info: ValidationInfo) -> None:
    """ValueError if what is being validated is a row."""
    if info.context == IN_A_ROW:
        raise ValueError(f"{what} can stand in the configuration file alone, not in the store")


def file_only(what: str) -> AfterValidator:
    """Marks a type whose values a row must not have."""

    def check(value: Any, info: ValidationInfo) -> Any:
        refuse_in_a_row(what, info)
        return value

    return AfterValidator(check)
