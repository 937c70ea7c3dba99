"""What a request is recognised by, so that the same one always goes to the same place."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, model_validator

from gateway.config.section import Section
from gateway.config.values import shown

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def parse_token(value: object) -> str:
    """The name of a header field or of a cookie (RFC 9110 section 5.6.2)."""
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise ValueError(f"{shown(value)} is not the name of a header field or cookie")
    return value


Token = Annotated[str, BeforeValidator(parse_token)]

SHORT = ("user", "ip")
"""What may be written alone: there is nothing more to say about it."""


class RequestKey(Section):
    """`user`, `ip`, `{header: NAME}` or `{cookie: NAME}`. Without it, the address."""

    shorthand = ("string",)

    header: Token | None = None
    """The value of this header field."""
    cookie: Token | None = None
    """The value of this cookie."""
    user: Literal[True] | None = None
    """The user who is logged in."""
    ip: Literal[True] | None = None
    """The client's address."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value not in SHORT:
            raise ValueError(
                f"must be user, ip, {{header: NAME}} or {{cookie: NAME}}, not {shown(value)}"
            )
        return {value: True}

    @model_validator(mode="after")
    def _exactly_one(self) -> "RequestKey":
        if sum(kind is not None for kind in (self.header, self.cookie, self.user, self.ip)) != 1:
            raise ValueError("needs exactly one of user, ip, header and cookie")
        return self

    @property
    def source(self) -> tuple[Literal["header", "cookie", "user", "ip"], str]:
        """Where to look, and for which name (lower case for a header)."""
        if self.header is not None:
            return "header", self.header.lower()
        if self.cookie is not None:
            return "cookie", self.cookie
        return ("user" if self.user else "ip"), ""
