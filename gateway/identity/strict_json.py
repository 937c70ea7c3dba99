"""JSON as security needs it: one reading, bounded. What a lenient parser would guess is refused."""

import json
from typing import Any

__all__ = ["loads_object"]

MAX_DIGITS = 16
"""2^53 has 16: a longer integer is another number in other languages."""


def loads_object(data: bytes) -> dict[str, Any]:
    """A JSON object without repeated keys, NaN, long integers or deep nesting, in UTF-8.

    ValueError says what is wrong with it, and repeats nothing of it.
    """
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_unique,
            parse_int=_bounded_int,
            parse_constant=_no_constant,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except json.JSONDecodeError:
        raise ValueError("not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a repeated key")
    return members


def _bounded_int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError("a number with too many digits")
    return int(text)


def _no_constant(text: str) -> Any:
    raise ValueError("a number that is none")
