"""Holds the invariants of ARCHITECTURE.md that can be seen in names, imports and attributes.

Usage: ``tools/check_layers.py [ROOT]``. One line for each finding; exit 1 if one is an error.
A file of more than 400 lines is a warning, of more than 600 an error.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent

SOURCES = ("benchmarks", "cext", "gateway", "native", "tests", "tools")
"""Folders that are read."""
SUFFIXES = frozenset({".py", ".pyi", ".pyx", ".pxd", ".rs"})
SKIPPED = frozenset({"target", "node_modules", "__pycache__"})

LONG_LINES = 400
LONGEST_LINES = 600

VAGUE_NAMES = frozenset({"utils", "util", "helpers", "helper", "common", "base", "misc"})
"""Names that say nothing, so everything ends up in them."""

CEXT_MAY_IMPORT = ("gateway.errors", "gateway._core", "gateway.cext")
"""The data plane knows the table of errors and the structures, and nothing else of the package."""

COMPILED = {
    "gateway/cext/__init__.py": ("gateway._core", "the loader of the linked Cython modules"),
    "gateway/config/explain.py": ("gateway._core", "explains with the workers' own route table"),
    "gateway/config/limits.py": ("gateway._core", "the bounds of the structures"),
    "gateway/config/table.py": ("gateway._core", "the route table has the last word on a pattern"),
    "gateway/limits/dispatcher.py": ("gateway.cext.calls", "calls of Redis, without a frame each"),
    "gateway/limits/link.py": ("gateway.cext.conversation", "the connection that they are made on"),
    "gateway/limits/store.py": (
        "gateway._core gateway.cext.lane",
        "the data plane's questions to Redis",
    ),
    "gateway/supervisor/start.py": (
        "gateway._core gateway.cext.worker",
        "makes the segment before the first fork, and the data plane that workers run",
    ),
    "gateway/telemetry/metrics.py": ("gateway._core", "the names of what the segment counts"),
}
"""File → the compiled modules that it imports at run time, and why. Imports for types are free."""

STANDALONE = {
    "gateway/channel.py": (),
    "gateway/config": ("gateway.config", "gateway._core"),
    "gateway/counted.py": (),
    "gateway/errors.py": (),
    "gateway/private_file.py": (),
    "gateway/state": ("gateway.state", "gateway.config"),
    "gateway/store": ("gateway.store",),
    "gateway/telemetry": ("gateway.telemetry", "gateway._core"),
    "gateway/upstreams/discovery": ("gateway.upstreams.discovery", "gateway.config"),
    "gateway/upstreams": ("gateway.upstreams", "gateway.config", "gateway.telemetry"),
}
"""File or package → all that it may import of gateway: what others rest on rests on nothing."""

DATABASE_MODULES = ("aiosqlite", "alembic", "asyncpg", "sqlalchemy")
DATABASE_ROOM = "gateway/store/"
"""The only place of gateway/ that speaks to a database, so that nothing else pays its import."""

SAFE_EXCEPT = frozenset({"native/core/src/lib.rs", "native/core/src/segment.rs"})
"""lib.rs only denies unsafe code, so that segment.rs can allow it."""


class Finding(NamedTuple):
    """What is wrong with one file."""

    path: str
    message: str
    is_error: bool = True

    def __str__(self) -> str:
        return f"{self.path}: {'error' if self.is_error else 'warning'}: {self.message}"


def check(root: Path) -> list[Finding]:
    """All findings, in the order of the files."""
    files = {path.relative_to(root).as_posix(): path.read_text() for path in _files(root)}
    return [
        *(finding for name, text in files.items() for finding in _check_file(name, text)),
        *_check_compiled_imports(files),
        *_check_safety(files),
    ]


def _files(root: Path) -> Iterator[Path]:
    for folder in SOURCES:
        for path in sorted((root / folder).rglob("*")):
            parts = path.relative_to(root).parts
            if any(part in SKIPPED or part.startswith(".") for part in parts):
                continue
            if path.suffix in SUFFIXES or path.name == "Cargo.toml":
                yield path


def _check_file(name: str, text: str) -> Iterator[Finding]:
    path = Path(name)
    if path.stem.lower() in VAGUE_NAMES:
        yield Finding(name, f"'{path.stem}' says nothing; name the file after what is in it")
    if path.suffix in SUFFIXES:
        yield from _check_length(name, text)
    if name.startswith("native/core/") and "pyo3" in _rust_code(text):
        yield Finding(name, "native/core does not know Python; bind it in native/src")
    if path.suffix in (".pyx", ".pxd"):
        yield from _check_cython(name, text)
    if path.suffix == ".py":
        yield from _check_standalone(name, text)
    if path.suffix == ".py" and name.startswith("gateway/"):
        yield from _check_databases(name, text)


def _check_length(name: str, text: str) -> Iterator[Finding]:
    lines = text.count("\n")
    if lines > LONGEST_LINES:
        yield Finding(name, f"{lines} lines; split it, {LONGEST_LINES} is the limit")
    elif lines > LONG_LINES:
        yield Finding(name, f"{lines} lines; {LONG_LINES} is the aim", is_error=False)


# Imports ---------------------------------------------------------------------------------------

_CYTHON_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+c?import[ \t]+(\w+)|c?import[ \t]+([\w.]+))", re.MULTILINE
)
_CYTHON_INCLUDE = re.compile(r"^[ \t]*include[ \t]+[\"']", re.MULTILINE)


def _check_cython(name: str, text: str) -> Iterator[Finding]:
    for package, member, module in _CYTHON_IMPORT.findall(text):
        # `from gateway import _core` names the module in its second half
        imported = f"gateway.{member}" if package == "gateway" else package or module
        if _is_in(imported, ("gateway",)) and not _is_in(imported, CEXT_MAY_IMPORT):
            yield Finding(name, f"imports {imported}; cext/ knows only errors and structures")
    if _CYTHON_INCLUDE.search(text):
        yield Finding(name, "includes another source; cimport it")


def _check_standalone(name: str, text: str) -> Iterator[Finding]:
    for place, allowed in STANDALONE.items():
        if name == place or name.startswith(f"{place}/"):
            for module in _runtime_imports(text):
                if _is_in(module, ("gateway",)) and not _is_in(module, allowed):
                    yield Finding(name, f"imports {module}; {place} stands below it")


def _check_databases(name: str, text: str) -> Iterator[Finding]:
    if not name.startswith(DATABASE_ROOM):
        for module in _runtime_imports(text):
            if _is_in(module, DATABASE_MODULES):
                yield Finding(name, f"imports {module}; only {DATABASE_ROOM} speaks to databases")


def _check_compiled_imports(files: dict[str, str]) -> Iterator[Finding]:
    used: dict[str, set[str]] = {}
    for name, text in files.items():
        if not name.startswith("gateway/") or not name.endswith(".py"):
            continue
        for module in _runtime_imports(text):
            if not _is_in(module, ("gateway._core", "gateway.cext")):
                continue
            used.setdefault(name, set()).add(module)
            allowed, _ = COMPILED.get(name, ("", ""))
            if not _is_in(module, tuple(allowed.split())):
                yield Finding(name, f"imports {module}; see COMPILED in tools/check_layers.py")
    for name, (modules, _) in COMPILED.items():
        for module in modules.split():
            if not any(_is_in(found, (module,)) for found in used.get(name, ())):
                yield Finding(name, f"no longer imports {module}; remove it from COMPILED")


def _runtime_imports(text: str) -> Iterator[str]:
    """Modules that are imported when the code runs: not those under ``if TYPE_CHECKING:``."""
    waiting: list[ast.AST] = [ast.parse(text)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            waiting += node.orelse
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module == "gateway":
                yield from (f"gateway.{alias.name}" for alias in node.names)
            elif node.module is not None:
                yield node.module
        else:
            waiting += ast.iter_child_nodes(node)


def _is_in(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


# Rust ------------------------------------------------------------------------------------------


def _check_safety(files: dict[str, str]) -> Iterator[Finding]:
    """Every module forbids unsafe code, or a module around it does: the lint is inherited."""
    core = {
        name: text for name, text in files.items()
        if name.startswith("native/core/src/") and name.endswith(".rs")
    }  # fmt: skip
    safe = {name for name, text in core.items() if "#![forbid(unsafe_code)]" in _rust_code(text)}
    if core and "#![deny(unsafe_code)]" not in _rust_code(core.get("native/core/src/lib.rs", "")):
        yield Finding("native/core/src/lib.rs", "write #![deny(unsafe_code)]")
    for name in core.keys() - SAFE_EXCEPT - safe:
        is_test = Path(name).name == "tests.rs"
        if not is_test and not safe.intersection(_modules_around(name)):
            yield Finding(name, "write #![forbid(unsafe_code)]; only segment.rs may do without")


def _modules_around(name: str) -> Iterator[str]:
    """``a/b/c.rs`` → ``a/b.rs``, ``a/b/mod.rs``, ``a.rs``, …"""
    for folder in Path(name).parents:
        yield f"{folder.as_posix()}.rs"
        yield f"{folder.as_posix()}/mod.rs"


def _rust_code(text: str) -> str:
    return re.sub(r"//[^\n]*", "", text)


def main(arguments: list[str]) -> int:
    """Print all findings; returns the exit code."""
    findings = check(Path(arguments[0]) if arguments else REPOSITORY)
    for finding in findings:
        print(finding)
    errors = sum(finding.is_error for finding in findings)
    print(f"check_layers: errors {errors}, warnings {len(findings) - errors}")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
