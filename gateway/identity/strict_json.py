"""JSON as security needs it: one reading, bounded. What a lenient parser would guess is refused."""

import json
import math
from typing import Any

__all__ = ["loads", "loads_object"]

MAX_DIGITS = 16
"""2^53 has 16: a longer integer is another number in other languages."""


def loads_object(data: bytes) -> dict[str, Any]:
    """As `loads`, an object."""
    value = loads(data)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def loads(data: bytes) -> Any:
    """JSON as RFC 7493 (I-JSON) wants it, of bounded nesting.

    No repeated keys, no half surrogate pairs, no numbers that other languages read otherwise.

    ValueError says what is wrong with it, and repeats nothing of it.
    """
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_unique,
            parse_float=_finite,
            parse_int=_bounded_int,
            parse_constant=_no_constant,
        )
        if b"\\u" in data:
            _check_text(value)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except json.JSONDecodeError:
        raise ValueError("not JSON") from None
    return value


def _check_text(value: Any) -> None:
    """An escape can write half of a pair, which is no text: nothing can encode or store it."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a repeated key")
    return members


def _bounded_int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError("a number with too many digits")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number that is too large")
    return number


def _no_constant(text: str) -> Any:
    raise ValueError("a number that is none")
