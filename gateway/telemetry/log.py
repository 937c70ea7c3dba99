"""The application log: what the processes say about themselves, one line per event, on stderr.

Requests are not logged here; they have their own sink in ``gateway.telemetry.access_log``.
"""

import logging
import sys
import time
from typing import IO, Any, Literal

import orjson

__all__ = ["Format", "configure", "name_process"]

Format = Literal["json", "console"]

_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

QUIET_LEVEL = logging.WARNING
"""The least serious level of libraries."""

_process = "gateway"


def name_process(name: str) -> None:
    """Set the ``process`` field of the lines: ``supervisor``, ``control``, ``worker 0``."""
    global _process
    _process = name


def configure(
    log_format: Format,
    level: str = "info",
    stream: IO[str] | None = None,
    *,
    process: str = "gateway",
) -> None:
    """Send every logger of this process to ``stream`` (stderr), replacing what was set before.

    ``level`` is that of our own loggers. Libraries say nothing below `QUIET_LEVEL`: they would
    tell of each statement with its values, a private key among them, and of each request.
    """
    name_process(process)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _ConsoleFormatter())
    logging.basicConfig(handlers=[handler], level=QUIET_LEVEL, force=True)
    ours = logging.getLogger("gateway")
    ours.setLevel(level.upper())
    logging.getLogger().setLevel(max(ours.level, QUIET_LEVEL))
    logging.raiseExceptions = False  # a closed stderr must not become a second error


class _JsonFormatter(logging.Formatter):
    """One JSON object a line; ``extra={...}`` of a logging call becomes fields."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": _iso_time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": _process,
            "pid": record.process,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(fields, default=str).decode()


class _ConsoleFormatter(logging.Formatter):
    """Aligned text for people: time, level, process, message, then the extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        extra = "".join(f" {key}={value}" for key, value in _extra(record).items())
        line = (
            f"{_iso_time(record.created)} {record.levelname.lower():<7} "
            f"{_process:<10} {record.getMessage()}{extra}"
        )
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD_FIELDS}


def _iso_time(seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds: ``2025-01-31T12:00:00.123Z``."""
    whole, fraction = divmod(int(seconds * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{fraction:03d}Z"
