"""Writes the generated parts of docs/ from the code that they describe.

A generated part stands between two comments in a hand-written page:

    <!-- generated: keys -->
    ...
    <!-- end -->

`python tools/gen_docs.py` rewrites the parts; with `--check` it changes nothing and exits with 1
if one of them is out of date.
"""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from gateway.config.reference import keys

DOCS = Path(__file__).resolve().parent.parent / "docs"
_PART = re.compile(
    r"(?P<open><!-- generated: (?P<name>\w+) -->\n).*?(?P<close><!-- end -->)", re.DOTALL
)


def configuration_keys() -> str:
    """One table for each section of the configuration."""
    sections: dict[str, list[str]] = {}
    for key in keys():
        section, _, name = key.path.rpartition(".")
        default = f"`{key.default}`" if key.default not in ("", "required") else key.default
        cells = (f"`{name}`", key.type, default, key.meaning)
        row = " | ".join(cell.replace("|", "\\|") for cell in cells)
        sections.setdefault(section, []).append(f"| {row} |")
    head = ["| key | type | default | meaning |", "|---|---|---|---|"]
    lines: list[str] = []
    for section, rows in sections.items():
        title = f"### `{section}`" if section else "### Top level"
        lines += ["", title, "", *head, *rows]
    return "\n".join(lines) + "\n\n"


PARTS: dict[str, Callable[[], str]] = {"keys": configuration_keys}


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
    for page in sorted(DOCS.rglob("*.md")):
        old = page.read_text()
        new = render(old)
        if new == old:
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
