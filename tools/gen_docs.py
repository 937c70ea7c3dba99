"""Writes the generated parts of docs/ from the code that they describe.

A generated part stands between two comments in a hand-written page:

    <!-- generated: keys -->
    ...
    <!-- end -->

A few files are generated as a whole. `python tools/gen_docs.py` rewrites parts and files; with
`--check` it changes nothing and exits with 1 if one of them is out of date.
"""

import argparse
import asyncio
import json
import mmap
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import httpx

from gateway._core import Segment
from gateway.channel import Message
from gateway.config.reference import keys
from gateway.control.admin.app import table_of
from gateway.control.admin.errors import STATUS
from gateway.control.admin.openapi import openapi_document
from gateway.control.admin.operation import Operation
from gateway.control.identity_metrics import identity_families
from gateway.control.instance import Instance
from gateway.control.publication import Publication
from gateway.control.refused_callers import RefusedCallers
from gateway.control.shared_breakers import SharedBreakers
from gateway.control.status import status_app
from gateway.control.store_link import StoreLink
from gateway.errors import REFUSALS
from gateway.listener import Listener
from gateway.upstreams.discovery.watch import Report

DOCS = Path(__file__).resolve().parent.parent / "docs"
_PART = re.compile(
    r"(?P<open><!-- generated: (?P<name>\w+) -->\n).*?(?P<close><!-- end -->)", re.DOTALL
)


def configuration_keys() -> str:
    """One table for each section of the configuration."""
    sections: dict[str, list[str]] = {}
    for key in keys():
        section, _, name = key.path.rpartition(".")
        default = f"`{key.default}`" if key.default else "required" if key.required else ""
        row = _row(f"`{name}`", key.type, default, key.meaning)
        sections.setdefault(section, []).append(row)
    head = _head("key", "type", "default", "meaning")
    lines: list[str] = []
    for section, rows in sections.items():
        title = f"### `{section}`" if section else "### Top level"
        lines += ["", title, "", *head, *rows]
    return "\n".join(lines) + "\n\n"


def refusals() -> str:
    """The gateway's own answers, in the order of their table."""
    rows = [
        _row(
            f"`{row.code}`",
            str(row.status),
            row.side,
            _yes(row.retryable),
            _yes(row.closes),
            row.message,
        )
        for row in REFUSALS
    ]
    return _table(_head("code", "status", "who failed", "retry", "closes", "`error`"), rows)


def metrics() -> str:
    """Every family that ``/metrics`` serves, read from its own answer."""
    text = asyncio.run(_scrape())
    labels: dict[str, str] = {}
    for name, inside in re.findall(r"^(\w+?)(?:_bucket)?\{(.*)\} ", text, re.MULTILINE):
        names = (name for name in re.findall(r'(\w+)="', inside) if name != "le")
        labels.setdefault(name, ", ".join(f"`{name}`" for name in names))
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    rows = [
        _row(f"`{name}`", kinds[name], labels.get(name, ""), meaning)
        for name, meaning in re.findall(r"^# HELP (\w+) (.*)$", text, re.MULTILINE)
    ]
    return _table(_head("metric", "type", "labels", "meaning"), rows)


async def _scrape() -> str:
    """What the status port of an instance with one worker answers after one request."""
    segment = Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True)
    name = segment.intern("name")
    segment.observe(0, name, name, "GET", 200, 1)
    segment.service_add(0, name, "upstream_connects_total", 1)
    segment.limit_add(0, name, name, "rate_limit_allowed_total", 1)
    status = {"workers": [{"slot": 0, "up": True}], "last_reload": None, "uptime_s": 1.0}

    def send(message: Message) -> None:
        instance.on_answer(message["id"], status)

    report = Report("name", "dns A name", "ok", (), confirmed=0.0, failures=0)
    breakers, refused = SharedBreakers(segment), RefusedCallers()
    breakers.update([_service(name)])
    refused.count([("name", "user:name", 1)])
    split = {"path": "/", "canary": {"part": 0}, "split": [{"service": 0, "place": 0, "weight": 1}]}
    in_force = Publication(1, "{}", {}, 1.0, services=[_service(name)], splits=[split])
    instance = Instance(send, segment, in_force, lambda: [report])
    link = StoreLink("sqlite:///none", Path("/nonexistent"), lambda: None, lambda text: None)
    identity = identity_families({("login", "ok"): 1}, {"name": 1}, (True, 0))
    more = [*link.families(), *breakers.families(), *identity, *refused.families()]
    listener = Listener("server.status", [], "127.0.0.1", 0)
    transport = httpx.ASGITransport(status_app(instance, listener, lambda: more))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return (await client.get("/metrics")).raise_for_status().text


def _service(label: int) -> dict[str, Any]:
    """Of a Plan, as far as metrics look at it."""
    endpoint = {"url": "http://name", "zone": None, "priority": 0, "place": 0}
    breaker = {"shared": True, "open_max": 1.0}
    return {"name": "name", "label": label, "breaker": breaker, "endpoints": [endpoint]}


def _head(*names: str) -> list[str]:
    return [_row(*names), "|" + "---|" * len(names)]


def _row(*cells: str) -> str:
    """One line: a table has no other rows (GitHub Flavored Markdown, section 4.10)."""
    inside = " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells)
    return f"| {inside} |"


def _table(head: Iterable[str], rows: Iterable[str]) -> str:
    return "\n".join(["", *head, *rows, "", ""])


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def admin_operations() -> str:
    """The admin API's table of operations."""
    rows = [
        _row(
            f"`{operation.method}`",
            f"`{operation.path}`",
            f"{operation.role}{', registrar' if operation.registrars else ''}",
            operation.summary,
        )
        for operation in _operations()
    ]
    return _table(_head("method", "path", "role", "what"), rows)


def admin_codes() -> str:
    """The admin API's refusals."""
    rows = [_row(f"`{code}`", str(status)) for code, status in STATUS.items()]
    return _table(_head("code", "status"), rows)


def _operations() -> list[Operation]:
    """Their handlers are not called, so they need no instance."""
    nothing: Any = None
    return table_of(nothing, nothing, nothing, nothing)


def openapi() -> str:
    """The OpenAPI document of the admin API."""
    return json.dumps(openapi_document(_operations()), indent=2, ensure_ascii=False) + "\n"


PARTS: dict[str, Callable[[], str]] = {
    "admin_codes": admin_codes,
    "admin_operations": admin_operations,
    "errors": refusals,
    "keys": configuration_keys,
    "metrics": metrics,
}


FILES: dict[str, Callable[[], str]] = {"openapi-admin.json": openapi}
"""In docs/, generated as a whole."""


def render(text: str) -> str:
    """The page with its generated parts written anew."""

    def part(match: re.Match[str]) -> str:
        return f"{match['open']}{PARTS[match['name']]()}{match['close']}"

    return _PART.sub(part, text)


def main() -> int:
    """Rewrite all pages, or check them. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Write the generated parts of docs/.")
    parser.add_argument("--check", action="store_true", help="change nothing; 1 if out of date")
    check = parser.parse_args().check
    stale = 0
    pages = {page: render(page.read_text()) for page in sorted(DOCS.rglob("*.md"))}
    pages |= {DOCS / name: make() for name, make in FILES.items()}
    for page, new in pages.items():
        if page.exists() and page.read_text() == new:
            continue
        stale += 1
        if check:
            print(f"{page}: out of date; run python tools/gen_docs.py", file=sys.stderr)
        else:
            page.write_text(new)
            print(f"{page}: written")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
