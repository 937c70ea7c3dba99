"""Lookups among 10 and 10,000 routes, and path normalisation, as Cython sees them: through C.

The call through Python costs more than the lookup, so one benchmark round is a batch of calls
through the C face (about 0.3 µs of each is ctypes). ``cargo bench -p gateway-core --bench routes``
has the bare costs. What counts is that 10,000 routes cost what 10 do.
"""

import ctypes
from collections.abc import Callable
from typing import Protocol

import pytest

from gateway import _core
from gateway._core import RouteTable
from tests.structures.test_routes_capi import FOUND, request

CALLS_PER_ROUND = 1000
LIBRARY = ctypes.CDLL(_core.__file__)

# Pattern behind the service's prefix, and a path that it takes.
KINDS = {
    "literal": ("/users/list", "/users/list"),
    "param": ("/users/{id}/orders", "/users/123456/orders"),
    "rest": ("/{path...}", "/users/123456/orders"),
}


class Benchmark(Protocol):
    """The fixture of pytest-benchmark, as far as it is used here."""

    def __call__(self, function: Callable[[], object]) -> object: ...


@pytest.mark.parametrize("size", [10, 10_000])
@pytest.mark.parametrize("kind", KINDS)
def test_bench_match(benchmark: Benchmark, kind: str, size: int) -> None:
    """One route of many takes the request."""
    pattern, path = KINDS[kind]
    # Numbers of one width: both tables compare the same number of bytes.
    table = RouteTable(
        [{"path": f"/service-{n:05}{pattern}", "methods": ["GET"]} for n in range(size)]
    )
    wanted = size * 7 // 10
    asked = ctypes.byref(request(b"GET", f"/service-{wanted:05}{path}".encode()))
    out = ctypes.c_uint32()
    arguments = (ctypes.c_void_p(table.address), asked, ctypes.byref(out))
    find = LIBRARY.gw_routes_match

    def batch() -> None:
        for _ in range(CALLS_PER_ROUND):
            find(*arguments)

    assert find(*arguments) == FOUND
    assert out.value == wanted
    benchmark(batch)


@pytest.mark.parametrize(
    "path", [b"/identity/users/123456/orders", b"/identity/%7Eusers/../123/x"], ids=["plain", "odd"]
)
def test_bench_normalize(benchmark: Benchmark, path: bytes) -> None:
    """A path that is canonical already, and one that is not."""
    out = ctypes.create_string_buffer(3 * len(path))
    sizes = ctypes.c_size_t(len(path)), ctypes.c_size_t(len(out))
    arguments = (path, sizes[0], out, sizes[1], ctypes.c_uint32(0))
    normalize = LIBRARY.gw_path_normalize
    normalize.restype = ctypes.c_int64

    def batch() -> None:
        for _ in range(CALLS_PER_ROUND):
            normalize(*arguments)

    assert normalize(*arguments) > 0
    benchmark(batch)
