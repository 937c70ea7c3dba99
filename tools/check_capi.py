"""Compares the two descriptions of the C face: native/src/capi.rs, with the files under
native/src/capi, and cext/native.pxd.

The linker knows names only. A function whose arguments or a struct whose fields differ between the
two would read other bytes than were meant, without a word. Usage: ``tools/check_capi.py [RS PXD]``;
exit 1 and one line per difference.

What is compared:

- every ``extern "C"`` function: name, number, order and types of the arguments, result;
- every ``#[repr(C)]`` struct: names, order and types of the fields;
- the C inside the verbatim blocks of the ``.pxd``, which is what the C compiler believes, as far as
  it declares functions or structs;
- opaque types may be named differently (``GwWheel``, ``TimerWheel``), but each is one type.

Types are compared in Rust's spelling: ``const uint8_t *`` is ``*const u8``.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

SCALARS = {
    "void": "()", "char": "i8", "int": "i32", "unsigned int": "u32", "double": "f64",
    "float": "f32", "bint": "i32", "size_t": "usize", "ssize_t": "isize", "Py_ssize_t": "isize",
    "uintptr_t": "usize", "intptr_t": "isize",
    **{f"int{bits}_t": f"i{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}_t": f"u{bits}" for bits in (8, 16, 32, 64)},
}  # fmt: skip


class UnreadableError(Exception):
    """A declaration that this tool does not understand: write it more plainly, or teach it."""


@dataclass(frozen=True)
class Function:
    """Types of the arguments, in order, and of the result."""

    arguments: tuple[str, ...]
    result: str


@dataclass
class Face:
    """What one description says. A struct without fields is opaque."""

    functions: dict[str, Function] = field(default_factory=dict)
    structs: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)


# ---- Rust ----------------------------------------------------------------------------------------

RUST_FUNCTION = re.compile(r'extern "C" fn (\w+)\s*\(([^)]*)\)\s*(?:->\s*([^{]+))?\{')
RUST_STRUCT = re.compile(r"#\[repr\(C\)\]\s*(?:#\[[^\]]*\]\s*)*pub struct (\w+)\s*\{([^}]*)\}")


def read_rust(text: str) -> Face:
    """Reads the exported functions and the ``repr(C)`` structs of a Rust source."""
    text = re.sub(r"//[^\n]*", "", text)
    face = Face()
    for name, arguments, result in RUST_FUNCTION.findall(text):
        types = tuple(kind for _, kind in _rust_names_and_types(arguments))
        face.functions[name] = Function(types, _rust_type(result or "()"))
    for name, fields in RUST_STRUCT.findall(text):
        face.structs[name] = tuple(_rust_names_and_types(fields))
    return face


def _rust_names_and_types(text: str) -> Iterator[tuple[str, str]]:
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, colon, kind = item.partition(":")
        if not colon:
            raise UnreadableError(f"capi.rs: cannot read '{item}'")
        yield name.removeprefix("pub ").strip(), _rust_type(kind)


def _rust_type(text: str) -> str:
    """One space between words, no module paths: ``*const  ffi::c_void`` is ``*const ()``."""
    kind = re.sub(r"\w+::", "", " ".join(text.split()))
    return re.sub(r"\bc_void\b", "()", kind)


# ---- Cython and C --------------------------------------------------------------------------------

VERBATIM = re.compile(r'"""(.*?)"""', re.DOTALL)
PXD_STRUCT = re.compile(
    r"^( *)(?:ctypedef|cdef) struct (\w+):[^\n]*\n((?:\1 +[^\n]*\n|\s*\n)+)",
    re.MULTILINE,
)
C_STRUCT = re.compile(r"typedef struct(?: \w+)?\s*(?:\{([^}]*)\})?\s*(\w+)\s*;")
C_FUNCTION = re.compile(r"^[ \t]*((?:[\w]+[\s*]+)+)(\w+)\s*\(([^)]*)\)", re.MULTILINE)
DECLARATION = re.compile(r"^(.*?)(\w+)?\s*(?:\[(\d+)\])?$", re.DOTALL)


def read_pxd(text: str) -> tuple[Face, Face]:
    """Reads what Cython is told, and what the verbatim blocks tell the C compiler."""
    c_code = "\n".join(VERBATIM.findall(text))
    c_code = re.sub(r"/\*.*?\*/|//[^\n]*|^\s*#[^\n]*", "", c_code, flags=re.DOTALL | re.MULTILINE)
    cython = re.sub(r"#[^\n]*", "", VERBATIM.sub("", text))
    return _read_cython(cython + "\n"), _read_c(c_code)


def _read_cython(text: str) -> Face:
    face = Face()
    for _, name, body in PXD_STRUCT.findall(text):
        lines = (line.strip() for line in body.splitlines())
        members = (line for line in lines if line not in ("", "pass"))
        face.structs[name] = tuple(_c_declaration(member) for member in members)
    _read_c_functions(PXD_STRUCT.sub("", text), face)
    return face


def _read_c(text: str) -> Face:
    face = Face()
    for body, name in C_STRUCT.findall(text):
        members = filter(None, (member.strip() for member in body.split(";")))
        face.structs[name] = tuple(_c_declaration(member) for member in members)
    _read_c_functions(C_STRUCT.sub("", text), face)
    return face


def _read_c_functions(text: str, face: Face) -> None:
    for result, name, arguments in C_FUNCTION.findall(text):
        listed = (argument.strip() for argument in arguments.split(","))
        types = tuple(_c_declaration(argument)[1] for argument in listed if argument)
        types = () if types == ("()",) else types
        face.functions[name] = Function(types, _c_type(result))


def _c_declaration(text: str) -> tuple[str, str]:
    """Name and type of ``const uint8_t *name`` or ``uint32_t name[16]``; a name may be missing."""
    found = DECLARATION.match(text.strip())
    kind, name, length = found.groups() if found else ("", None, None)
    if not kind.strip():
        kind, name = name or "", ""
    rust = _c_type(kind)
    return name or "", f"[{rust}; {length}]" if length else rust


def _c_type(text: str) -> str:
    words = re.sub(r"\b(cdef|extern|static|struct)\b", " ", text).replace("*", " * ").split()
    stars = words.count("*")
    base = [word for word in words if word not in ("*", "const")]
    is_const = "const" in words
    if is_const and (words[0] != "const" or words.count("const") > 1):
        raise UnreadableError(f"native.pxd: cannot read '{text.strip()}'; write 'const T *'")
    rust = SCALARS.get(" ".join(base), " ".join(base))
    innermost = "*const " if is_const else "*mut "
    return "*mut " * (stars - 1) + innermost * min(stars, 1) + rust


# ---- Comparison ----------------------------------------------------------------------------------


@dataclass
class Comparison:
    """Collects the differences between Rust and one other description."""

    rust: Face
    other: Face
    place: str
    opaque: dict[str, str] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    def run(self, is_complete: bool) -> list[str]:
        """``is_complete``: the other one must have everything that Rust has."""
        self._names("function", set(self.rust.functions), set(self.other.functions), is_complete)
        concrete = {name for name, fields in self.other.structs.items() if fields}
        self._names("struct", set(self.rust.structs), concrete, is_complete)
        for name in sorted(self.rust.functions.keys() & self.other.functions.keys()):
            self._function(name, self.rust.functions[name], self.other.functions[name])
        for name in sorted(self.rust.structs.keys() & concrete):
            self._struct(name, self.rust.structs[name], self.other.structs[name])
        return self.differences

    def _names(self, what: str, rust: set[str], other: set[str], is_complete: bool) -> None:
        for name in sorted(rust - other) if is_complete else ():
            self._report(name, f"{what} is in capi.rs only; declare it here")
        for name in sorted(other - rust):
            self._report(name, f"{what} is not in capi.rs; remove it or export it there")

    def _function(self, name: str, rust: Function, other: Function) -> None:
        if len(rust.arguments) != len(other.arguments):
            counts = f"{len(other.arguments)} arguments, {len(rust.arguments)} in capi.rs"
            self._report(name, counts)
            return
        for index, pair in enumerate(zip(rust.arguments, other.arguments, strict=True), 1):
            self._type(f"{name}, argument {index}", *pair)
        self._type(f"{name}, result", rust.result, other.result)

    def _struct(
        self,
        name: str,
        rust: tuple[tuple[str, str], ...],
        other: tuple[tuple[str, str], ...],
    ) -> None:
        names = [[member for member, _ in fields] for fields in (rust, other)]
        if names[0] != names[1]:
            listed = [", ".join(members) for members in names]
            self._report(name, f"fields are {listed[1]}; in capi.rs {listed[0]}")
            return
        for (member, rust_type), (_, other_type) in zip(rust, other, strict=True):
            self._type(f"{name}.{member}", rust_type, other_type)

    def _type(self, subject: str, rust: str, other: str) -> None:
        base = other.split()[-1]
        if self.other.structs.get(base) == () and " " in other:
            rust_base = self.opaque.setdefault(base, rust.split()[-1])
            other = other.removesuffix(base) + rust_base
        if rust != other:
            self._report(subject, f"type is '{other}'; in capi.rs '{rust}'")

    def _report(self, subject: str, difference: str) -> None:
        self.differences.append(f"{self.place}: {subject}: {difference}")


def differences(rust_source: str, pxd_source: str) -> list[str]:
    """All differences between the two texts, one line each; empty if they agree."""
    rust = read_rust(rust_source)
    cython, c_code = read_pxd(pxd_source)
    if not rust.functions:
        return ["capi.rs: no exported function found; is it the right file?"]
    found = Comparison(rust, cython, "native.pxd").run(is_complete=True)
    return found + Comparison(rust, c_code, "native.pxd, C block").run(is_complete=False)


def main(arguments: list[str]) -> int:
    """Prints the differences; returns the exit code."""
    names = arguments or [str(ROOT / "native/src/capi.rs"), str(ROOT / "cext/native.pxd")]
    face, pxd = (Path(name) for name in names)
    parts = [face, *sorted(face.with_suffix("").glob("*.rs"))]
    rust = "\n".join(part.read_text() for part in parts)
    try:
        found = differences(rust, pxd.read_text())
    except UnreadableError as error:
        found = [str(error)]
    print("\n".join(found) if found else "check_capi: capi.rs and native.pxd agree")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
