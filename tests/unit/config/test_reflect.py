"""The schema read for what people may see."""

from typing import Any

import pytest
from pydantic import SecretStr

from gateway.config.reflect import without_secrets
from gateway.config.section import Section

MASK = str(SecretStr("x"))


class Inner(Section):
    secret: SecretStr | None = None
    plain: str = ""


class Outer(Section):
    one: Inner | None = None
    many: tuple[Inner, ...] = ()
    named: dict[str, Inner] = {}  # noqa: RUF012


INNER = {"secret": "hunter2", "plain": "x"}
MASKED = {"secret": MASK, "plain": "x"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"one": INNER}, {"one": MASKED}),
        ({"one": {"secret": ["hunter2"]}}, {"one": {"secret": MASK}}),
        ({"one": {"secret": None}}, {"one": {"secret": None}}),
        ({"many": [INNER, 7]}, {"many": [MASKED, 7]}),
        ({"named": {"a": INNER}}, {"named": {"a": MASKED}}),
        ({"unknown": 1, "many": "x", "named": 5}, {"unknown": 1, "many": "x", "named": 5}),
        ("text", "text"),
        (None, None),
    ],
)
def test_secrets_are_masked_whatever_else_is_wrong(value: Any, shown: Any) -> None:
    assert without_secrets(Outer, value) == shown
