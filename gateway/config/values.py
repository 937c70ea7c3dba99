"""The value types of the configuration: durations, sizes, numbers, text, lists.

Each type is a parser (text → value), a formatter (value → the shortest text that parses back to
it) and the JSON Schema that describes the text. A parser raises ``ValueError`` whose text says what
is expected, so that one message serves the file, the environment and the command line.
"""

import os
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import (
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

Item = TypeVar("Item")
Key = TypeVar("Key")

DURATION_UNITS_MS = {
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
MAX_DURATION_S = 365 * 86_400
"""One year. Whoever means "never" writes ``off``; the bound keeps sums of deadlines in range."""

SIZE_UNITS = {
    "GiB": 1 << 30,
    "MiB": 1 << 20,
    "KiB": 1 << 10,
    "GB": 10**9,
    "MB": 10**6,
    "KB": 10**3,
    "B": 1,
}
MAX_SIZE = 1 << 50
"""One PiB: more is a slip of the pen, and it stays exact in a JSON number (2^53)."""

_NUMBER = r"([0-9]{1,16}(?:\.[0-9]{1,6})?)"
_DURATION = re.compile(_NUMBER + r"(ms|s|m|h|d)")
_SIZE = re.compile(_NUMBER + r" ?(B|KiB|MiB|GiB|KB|MB|GB)?")
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)(%)?")
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_ZONE = re.compile(r"[!-~]{1,64}")


def shown(value: object) -> str:
    """How a refused value appears in a message: short, and by kind if it is no scalar."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def is_off(value: object) -> bool:
    """Whether a limit is switched off: ``off`` or zero."""
    return value == "off" or (not isinstance(value, bool) and value in (0, "0"))


def parse_flag(value: object) -> bool:
    """``true`` or ``false``; as text where the value comes from the environment or a flag."""
    if value in ("true", "false"):
        return value == "true"
    if isinstance(value, bool):
        return value
    raise ValueError(f"must be true or false, not {shown(value)}")


# --- durations -------------------------------------------------------------------------------


def parse_duration(value: object) -> float:
    """``500ms 10s 15m 2h 7d`` → seconds, in whole milliseconds."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        hint = ""
        if isinstance(value, int | float) and not isinstance(value, bool):
            hint = f" (a number needs a unit: {value}s or {value}ms)"
        raise ValueError(
            f"must be a duration such as 500ms, 10s, 15m, 2h or 7d, not {shown(value)}{hint}"
        )
    milliseconds = Decimal(match[1]) * DURATION_UNITS_MS[match[2]]
    if milliseconds != int(milliseconds):
        raise ValueError(f"must be a whole number of milliseconds, not {value}")
    if not 0 < milliseconds <= MAX_DURATION_S * 1000:
        raise ValueError(f"must be between 1ms and 365d, not {value}")
    return int(milliseconds) / 1000


def parse_optional_duration(value: object) -> float:
    """As `parse_duration`; ``off`` and 0 → 0.0, which means no limit."""
    if is_off(value) or value in ("0s", "0ms"):
        return 0.0
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ValueError(
            str(error).replace("must be a duration", "must be off or a duration", 1)
        ) from None


def format_duration(seconds: float) -> str:
    """Seconds → text in the largest unit that divides them; 0 → ``off``."""
    milliseconds = round(seconds * 1000)
    if milliseconds == 0:
        return "off"
    unit = next(unit for unit, size in DURATION_UNITS_MS.items() if milliseconds % size == 0)
    return f"{milliseconds // DURATION_UNITS_MS[unit]}{unit}"


# --- sizes -----------------------------------------------------------------------------------


def parse_size(value: object) -> int:
    """``16KiB 10MiB`` (powers of 1024), ``64KB`` (powers of 1000) or a plain number → bytes."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(
            f"must be a size such as 16KiB, 10MiB, 64KB or a number of bytes, not {shown(value)}"
        )
    size = Decimal(match[1]) * SIZE_UNITS[match[2] or "B"]
    if size != int(size):
        raise ValueError(f"must be a whole number of bytes, not {value}")
    if not 0 < size <= MAX_SIZE:
        raise ValueError(f"must be between 1 byte and 1 PiB, not {value}")
    return int(size)


def parse_optional_size(value: object) -> int:
    """As `parse_size`; ``off`` and 0 → 0, which means no limit."""
    if is_off(value):
        return 0
    try:
        return parse_size(value)
    except ValueError as error:
        raise ValueError(str(error).replace("must be a size", "must be off or a size", 1)) from None


def format_size(size: int) -> str:
    """Bytes → text in the unit that needs the smallest number; 0 → ``off``."""
    if size == 0:
        return "off"
    exact = [(size // factor, unit) for unit, factor in SIZE_UNITS.items() if size % factor == 0]
    number, unit = min(exact, key=lambda pair: pair[0])
    return f"{number}{unit}"


# --- shares ----------------------------------------------------------------------------------


def parse_share(value: object) -> float:
    """``50%`` or ``0.5`` → 0.5; more than 0, at most 1."""
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    match = _SHARE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"must be a share such as 50% or 0.5, not {shown(value)}")
    share = float(match[1]) / (100 if match[2] else 1)
    if not 0.001 <= share <= 1:
        raise ValueError(f"must be between 0.1% and 100%, not {shown(value)}")
    return round(share, 3)


def parse_optional_share(value: object) -> float:
    """As `parse_share`; ``off`` and 0 → 0.0, which switches off."""
    if is_off(value) or value in ("0%", 0.0):
        return 0.0
    try:
        return parse_share(value)
    except ValueError as error:
        raise ValueError(
            str(error).replace("must be a share", "must be off or a share", 1)
        ) from None


def format_share(share: float) -> str:
    """0.5 → ``50%``; 0 → ``off``."""
    return f"{round(share * 100, 1):g}%" if share else "off"


# --- numbers and text ------------------------------------------------------------------------


def parse_integer(value: object) -> int:
    """A whole number, also as text (the environment and ``${VAR}`` know only text)."""
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"must be a whole number, not {shown(value)}")


def parse_text(value: object) -> str:
    """Text; whole numbers and booleans are taken as they are written in the file."""
    if isinstance(value, float):
        raise ValueError(
            f"must be text; put it in quotes ('{value}') so that it is kept as written"
        )
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int):
        return str(value)
    raise ValueError(f"must be text, not {shown(value)}")


def parse_name(value: object) -> str:
    """The name of a service: it stands in metrics, logs and dotted paths, so it is plain."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(
            f"{shown(value)} is not a name: letters, digits, _ and -, at most 63 of them, "
            "the first a letter or digit"
        )
    return value


def parse_zone(value: object) -> str | None:
    """The name of a zone, such as ``eu-central-1a``: what the sources of endpoints call it."""
    if value is None:
        return None
    if not isinstance(value, str) or not _ZONE.fullmatch(value):
        raise ValueError(
            f"must be 1 to 64 visible ASCII characters without spaces, not {shown(value)}"
        )
    return value


def parse_workers(value: object) -> int | str:
    """``auto`` or the number of worker processes."""
    if value == "auto":
        return "auto"
    try:
        workers = parse_integer(value)
    except ValueError:
        raise ValueError(f"must be auto or a number of processes, not {shown(value)}") from None
    if not 1 <= workers <= 256:
        raise ValueError(f"must be auto or between 1 and 256, not {workers}")
    return workers


def one_or_many(value: object) -> object:
    """A single value where a list is expected becomes a list of one; nothing becomes none."""
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def empty_if_none(value: object) -> object:
    """``routes:`` with nothing under it is an empty list, not an error."""
    return () if value is None else value


def empty_table_if_none(value: object) -> object:
    """``services:`` with nothing under it is an empty mapping, not an error."""
    return {} if value is None else value


class _OneOrMany:
    """Marks a list that may be written as its only element, in validation and in JSON Schema."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(one_or_many, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        array = handler(schema)
        return {"anyOf": [array["items"], array]}


def parse_directory(value: object) -> str:
    """An absolute path without a NUL."""
    if not isinstance(value, str) or not os.path.isabs(value) or "\0" in value:  # noqa: PTH117
        raise ValueError(f"must be an absolute path, not {shown(value)}")
    return value


# --- the types that the schema uses ----------------------------------------------------------


def text_schema(kind: str, pattern: str | None = None) -> WithJsonSchema:
    """Text in the file; `kind` is its name in the reference, `pattern` a regular expression."""
    schema: dict[str, Any] = {"type": "string", "x-type": kind}
    return WithJsonSchema(schema if pattern is None else schema | {"pattern": f"^(?:{pattern})$"})


def _quantity_schema(kind: str, pattern: str) -> WithJsonSchema:
    """Text with a unit, or a bare number."""
    text = {"type": "string", "pattern": f"^(?:{pattern})$"}
    return WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, text], "x-type": kind})


Duration = Annotated[
    float,
    PlainValidator(parse_duration),
    PlainSerializer(format_duration),
    text_schema("duration", _DURATION.pattern),
]
"""Seconds, more than 0."""

OptionalDuration = Annotated[
    float,
    PlainValidator(parse_optional_duration),
    PlainSerializer(format_duration),
    _quantity_schema("duration or `off`", f"off|{_DURATION.pattern}"),
]
"""Seconds; 0 is off."""

SIZE_SCHEMA = _quantity_schema("size", _SIZE.pattern)

OptionalSize = Annotated[
    int,
    PlainValidator(parse_optional_size),
    PlainSerializer(format_size),
    _quantity_schema("size or `off`", f"off|{_SIZE.pattern}"),
]
"""Bytes; 0 is off."""

Share = Annotated[
    float,
    PlainValidator(parse_share),
    PlainSerializer(format_share),
    _quantity_schema("share", _SHARE.pattern),
]
"""More than 0, at most 1."""

OptionalShare = Annotated[
    float,
    PlainValidator(parse_optional_share),
    PlainSerializer(format_share),
    _quantity_schema("share or `off`", f"off|{_SHARE.pattern}"),
]
"""At most 1; 0 is off."""

WholeNumber = BeforeValidator(parse_integer)
"""For ``Annotated[int, Ge(…), Le(…), WholeNumber]``: stands last, runs first."""

Flag = Annotated[bool, PlainValidator(parse_flag), WithJsonSchema({"type": "boolean"})]

Text = Annotated[str, BeforeValidator(parse_text), text_schema("text")]

Workers = Annotated[
    int | str,
    PlainValidator(parse_workers),
    WithJsonSchema(
        {
            "anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": 256}],
            "x-type": "`auto` or number",
        }
    ),
]

Directory = Annotated[str, PlainValidator(parse_directory), text_schema("directory", "/.*")]

OneOrMany = Annotated[tuple[Item, ...], _OneOrMany()]
"""A list that may be written as its only element."""

Many = Annotated[tuple[Item, ...], BeforeValidator(empty_if_none)]
Table = Annotated[Mapping[Key, Item], BeforeValidator(empty_table_if_none)]


def format_value(value: Any) -> str:
    """A value as a person would write it on one line (for tables and comparisons)."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(format_value(item) for item in value) + "]"
    if isinstance(value, dict):
        inner = ", ".join(f"{key}: {format_value(item)}" for key, item in value.items())
        return "{" + inner + "}"
    return str(value)
