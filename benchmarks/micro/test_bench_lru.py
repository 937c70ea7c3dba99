"""One look-up of a credential, through Python (the C face: `cargo bench --bench lru`)."""

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from gateway._core import Lru

TOKEN_BYTES = 560


def token(number: int) -> bytes:
    """As long as an RS256 token, with a tail of its own."""
    return f"{number:032}".rjust(TOKEN_BYTES, "x").encode()


@pytest.mark.parametrize("entries", [10, 50_000])
def test_find(benchmark: BenchmarkFixture, entries: int) -> None:
    """One that is there."""
    lru = Lru(entries, 1 << 30)
    for number in range(entries):
        lru.insert(token(number))
    benchmark(lru.find, token(entries // 2))
