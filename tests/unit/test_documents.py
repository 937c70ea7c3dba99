"""The documents are true as far as a program can see: links, and names of files and functions."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import REFUSALS

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
MADE = frozenset({"benchmarks/results/", "gateway/_core"})
"""Named in the documents, and made by a build or a benchmark."""
LINES = {"ARCHITECTURE.md": 400, "CONTRIBUTING.md": 200}
"""The longest that a page may be, so that it is read."""

by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@by_name
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        if anchor:
            assert anchor in set(headings(file)), target


def headings(page: Path) -> Iterator[str]:
    """As the usual renderers name them: ``## What is refused`` → ``what-is-refused``."""
    for title in re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE):
        yield re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


@by_name
def test_files_exist(page: Path) -> None:
    """`cext/wire.pyx` in a page is a file of the repository."""
    pattern = r"`((?:\.ci|benchmarks|cext|docs|examples|gateway|native|tests|tools)/[\w./-]*\w/?)"
    for name in re.findall(pattern, page.read_text()):
        if "NAME" not in name and name not in MADE:
            assert (ROOT / name).exists(), name


@by_name
def test_functions_exist(page: Path) -> None:
    """`cext/wire.pyx:flush` names a function or class that is defined there."""
    pattern = r"`([\w./-]+\.(?:pyx|pxd|py|rs)):(\w+)`"
    for name, function in re.findall(pattern, page.read_text()):
        definition = rf"^\s*(?:(?:async )?def|class|(?:pub )?fn|cp?def [\w* ]*?) ?\*?{function}\("
        assert re.search(definition, (ROOT / name).read_text(), re.MULTILINE), f"{name}:{function}"


@by_name
def test_tests_exist(page: Path) -> None:
    for name, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text()):
        assert f"def {test}(" in (ROOT / name).read_text(), f"{name}::{test}"


@pytest.mark.parametrize("name", LINES)
def test_long_pages_are_short_enough(name: str) -> None:
    assert (ROOT / name).read_text().count("\n") <= LINES[name]


def test_each_error_is_explained() -> None:
    _, _, explained = (ROOT / "docs/errors.md").read_text().partition("<!-- end -->")
    assert re.findall(r"^\| `(\w+)` \|", explained, re.MULTILINE) == [row.code for row in REFUSALS]


def test_each_dependency_has_its_reason() -> None:
    page = (ROOT / "docs/decisions/0003-dependencies.md").read_text()
    given = set(re.findall(r"[\w-]+", " ".join(re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE))))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *project["project"]["dependencies"],
        *project["dependency-groups"]["dev"],
        *project["build-system"]["requires"],
    ]
    names = {re.split(r"[\[<>=!~ ]", requirement)[0] for requirement in wanted}
    for manifest in ("", "native/core", "native/core/fuzz", "benchmarks/macro/openloop"):
        cargo = tomllib.loads((ROOT / manifest / "Cargo.toml").read_text())
        for table in ("dependencies", "dev-dependencies", "build-dependencies"):
            names |= cargo.get(table, {}).keys()
    assert names - given == {"gateway-core"}, "our own crate is no dependency"
