"""What every section of the configuration has in common."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A mapping with known keys. Immutable; the text under a key is its documentation."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,  # a value may be a secret
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_if_none(cls, value: Any) -> Any:
        """``server:`` with everything under it commented out means the defaults."""
        return {} if value is None else value
