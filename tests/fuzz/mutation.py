"""Makes wrong bytes out of right ones: the seeds are the cases of the wire tables."""

import os
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.wire.tables import cases

WIRE = Path(__file__).parents[1] / "wire"
# A seed of a megabyte tests a limit, which the tables do; it only slows a fuzzer down.
LONGEST_SEED = 1500
# A few seconds in CI; GATEWAY_FUZZ_EXAMPLES=100000 for a night.
EXAMPLES = int(os.environ.get("GATEWAY_FUZZ_EXAMPLES", "250"))
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="GATEWAY_FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# What parsers of HTTP have stumbled over.
INTERESTING = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b"\x00", b"\x0b", b"\x7f", b"\xff", b":",
    b",", b";", b"0", b"-1", b"+", b"_", b"0x", b"f" * 17, b"9" * 20, b"chunked", b"HTTP/1.1",
    b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n",
    b"Host: b\r\n", b"0\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"Expect: 100-continue\r\n",
    b"%00", b"%2e%2e/", b"#", b"\r\n folded", b"Upgrade: x\r\nConnection: upgrade\r\n",
]  # fmt: skip


def seeds(directory: str, key: str) -> list[bytes]:
    found = [case.values[0].get(key, b"") for case in cases(WIRE / directory)]
    return [seed for seed in found if 0 < len(seed) <= LONGEST_SEED]


@st.composite
def mutated(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """One or two seeds, cut, joined, repeated and sprinkled with what is interesting."""
    data = b"".join(draw(st.lists(st.sampled_from(originals), min_size=1, max_size=2)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        middle = draw(
            st.one_of(
                st.just(b""),
                st.sampled_from(INTERESTING),
                st.binary(max_size=4),
                st.just(data[start:end] * 2),
            )
        )
        data = data[:start] + middle + data[end:]
    return data
