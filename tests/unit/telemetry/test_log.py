"""The application log."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from gateway.telemetry.log import configure, name_process


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("gateway")
    handlers, levels, raising = root.handlers[:], (root.level, ours.level), logging.raiseExceptions
    yield
    root.handlers[:], logging.raiseExceptions = handlers, raising
    root.level, ours.level = levels
    logging.getLogger().manager._clear_cache()  # type: ignore[attr-defined]  # of levels
    name_process("gateway")


def test_a_line_is_one_json_object() -> None:
    stream = io.StringIO()
    configure("json", "info", stream, process="worker 1")
    logging.getLogger("gateway.x").warning("two\nlines %d", 2, extra={"route": "/a", "odd": {1}})
    line = stream.getvalue()
    assert line.count("\n") == 1
    fields = json.loads(line)
    assert fields["message"] == "two\nlines 2"
    assert fields["level"] == "warning"
    assert fields["process"] == "worker 1"
    assert fields["logger"] == "gateway.x"
    assert fields["route"] == "/a"
    assert fields["odd"] == "{1}"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", fields["time"])


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_exception_is_shown(form: str) -> None:
    stream = io.StringIO()
    configure("json" if form == "json" else "console", "info", stream)
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger().exception("failed")
    assert "ValueError: no" in stream.getvalue()


def test_the_console_is_for_people() -> None:
    stream = io.StringIO()
    configure("console", "info", stream, process="control")
    logging.getLogger("gateway").info("hello", extra={"port": 1})
    assert stream.getvalue().endswith(" info    control    hello port=1\n")


def test_less_serious_messages_are_left_out() -> None:
    stream = io.StringIO()
    configure("json", "error", stream)
    logging.getLogger("gateway").warning("not this")
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    "library", ["", "aiosqlite", "sqlalchemy.engine.Engine", "httpcore.http11"]
)
def test_libraries_say_no_less_than_warnings(library: str) -> None:
    """Below that they tell of each statement with its values, of each request with its headers."""
    stream = io.StringIO()
    configure("json", "debug", stream)
    logging.getLogger("gateway.x").debug("ours")
    logging.getLogger(library).info("INSERT INTO signing_keys VALUES ('-----BEGIN PRIVATE KEY')")
    logging.getLogger(library).warning("slow")
    messages = [json.loads(line)["message"] for line in stream.getvalue().splitlines()]
    assert messages == ["ours", "slow"]


def test_who_wants_errors_only_gets_no_warnings_of_libraries() -> None:
    stream = io.StringIO()
    configure("json", "error", stream)
    logging.getLogger("aiosqlite").warning("not this")
    assert stream.getvalue() == ""
