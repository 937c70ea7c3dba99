"""The C face of routes and paths, called as Cython calls it."""

import ctypes
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway import _core
from gateway._core import RouteTable, normalize_path

LIBRARY = ctypes.CDLL(_core.__file__)
LIBRARY.gw_path_normalize.restype = ctypes.c_int64
LIBRARY.gw_routes_allow.restype = ctypes.c_size_t
FOUND, NOT_FOUND, METHOD_NOT_ALLOWED = range(3)


class Field(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint32) for name in ("name_off", "name_len", "value_off", "value_len", "id")
    ]


class Request(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_char_p) for name in ("method", "host", "path", "query")),
        *((f"{name}_len", ctypes.c_size_t) for name in ("method", "host", "path", "query")),
        ("arena", ctypes.c_char_p),
        ("fields", ctypes.POINTER(Field)),
        ("field_count", ctypes.c_size_t),
    ]


def request(
    method: bytes,
    path: bytes,
    host: bytes = b"",
    query: bytes = b"",
    fields: Sequence[tuple[bytes, bytes]] = (),
) -> Request:
    arena = b"junk before the first field"
    laid_out = (Field * len(fields))()
    for field, (name, value) in zip(laid_out, fields, strict=True):
        field.name_off, field.name_len = len(arena), len(name)
        arena += name + b": "
        field.value_off, field.value_len = len(arena), len(value)
        arena += value + b"\r\n"
    texts = (method, host, path, query)
    return Request(*texts, *map(len, texts), arena, laid_out, len(fields))


def find(table: RouteTable, asked: Request) -> tuple[int, int]:
    out = ctypes.c_uint32(999)
    address = ctypes.c_void_p(table.address)
    verdict = LIBRARY.gw_routes_match(address, ctypes.byref(asked), ctypes.byref(out))
    return verdict, out.value


def allow(table: RouteTable, asked: Request, cap: int) -> bytes:
    out = ctypes.create_string_buffer(b"\xff" * 64)
    address = ctypes.c_void_p(table.address)
    cap_size = ctypes.c_size_t(cap)
    length = LIBRARY.gw_routes_allow(address, ctypes.byref(asked), out, cap_size)
    assert length <= cap
    assert out.raw[cap:64] == b"\xff" * (64 - cap), "wrote behind the end of the buffer"
    return out.raw[:length]


def normalize(path: bytes, cap: int, keep: int = 0) -> bytes | int:
    out = ctypes.create_string_buffer(max(cap, 1))
    result = LIBRARY.gw_path_normalize(
        path,
        ctypes.c_size_t(len(path)),
        out,
        ctypes.c_size_t(cap),
        ctypes.c_uint32(keep),
    )
    return out.raw[:result] if result >= 0 else int(result)


def test_match_reads_every_part_of_a_request() -> None:
    table = RouteTable(
        [
            {"path": "/a", "headers": [{"name": "X-A", "op": "exact", "value": "1"}]},
            {"path": "/a", "query": [{"name": "v", "op": "exact", "value": "2"}]},
            {"path": "/a", "hosts": ["*.example.org"], "methods": ["GET"]},
        ]
    )
    fields = [(b"Host", b"x"), (b"x-a", b"1")]
    assert find(table, request(b"GET", b"/a", fields=fields)) == (FOUND, 0)
    assert find(table, request(b"GET", b"/a", query=b"v=2")) == (FOUND, 1)
    assert find(table, request(b"GET", b"/a", host=b"b.example.org")) == (FOUND, 2)
    assert find(table, request(b"PUT", b"/a", host=b"b.example.org")) == (
        METHOD_NOT_ALLOWED,
        999,
    )
    assert find(table, request(b"GET", b"/a")) == (NOT_FOUND, 999)
    assert find(table, request(b"GET", b"/b")) == (NOT_FOUND, 999)


@pytest.mark.parametrize(
    ("cap", "expected"),
    [
        (64, b"GET, HEAD, POST"),
        (15, b"GET, HEAD, POST"),
        (14, b"GET, HEAD"),
        (2, b""),
        (0, b""),
    ],
)
def test_allow_never_writes_more_than_there_is_room_for(cap: int, expected: bytes) -> None:
    table = RouteTable([{"path": "/a", "methods": ["POST", "GET"]}])
    assert allow(table, request(b"PUT", b"/a"), cap) == expected


@pytest.mark.parametrize("path", [b"/a/b", b'/a/%7e/../"', b"/"])
def test_normalize_writes_what_the_python_function_returns(path: bytes) -> None:
    assert normalize(path, cap=3 * len(path)) == normalize_path(path)


def test_normalize_reads_the_setting_for_encoded_slashes() -> None:
    assert normalize(b"/a%2fb", cap=18, keep=1) == b"/a%2Fb"


def test_errors_have_the_numbers_that_the_pxd_gives_them() -> None:
    paths = {
        "bad_escape": b"/%", "nul": b"/%00", "control": b"/ ", "backslash": b"/\\",
        "encoded_slash": b"/%2f", "double_encoding": b"/%252e", "not_utf8": b"/%ff",
        "above_root": b"/..", "fragment": b"/#", "not_absolute": b"a",
    }  # fmt: skip
    pxd = (Path(__file__).parents[2] / "cext/native.pxd").read_text()
    numbers = dict(re.findall(r"GW_PATH_(\w+) = (\d+)", pxd))
    assert {name.lower() for name in numbers} == {*paths, "no_room"}
    for name, path in paths.items():
        assert normalize(path, cap=100) == -int(numbers[name.upper()])
        with pytest.raises(ValueError, match=f"^{name}$"):
            normalize_path(path)
    assert normalize(b"/abc", cap=3) == -int(numbers["NO_ROOM"])
