"""What every section of the configuration has in common."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A mapping with known keys. Immutable; the text under a key is its documentation."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,  # a value may be a secret
    )

    shorthand: ClassVar[tuple[str, ...]] = ()
    """JSON types that may stand in place of the mapping; the section's own validator takes them."""

    @model_validator(mode="before")
    @classmethod
    def _empty_if_none(cls, value: Any) -> Any:
        """``server:`` with everything under it commented out means the defaults."""
        return {} if value is None else value
