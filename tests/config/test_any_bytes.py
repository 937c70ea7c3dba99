"""Any bytes as a configuration file: a valid configuration or `ConfigError`, nothing else, soon."""

import random
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.config import ConfigError, load
from gateway.config.table import verify

DEADLINE_S = 1.0
"""CPU time for one file of some KiB. Wall time would count what else the machine does."""

HERE = Path(__file__).parent
SEEDS = [case.read_bytes().partition(b"\n----------\n")[0] for case in HERE.glob("*.gwtest")]
SUFFIXES = (".yaml", ".toml", ".json")
PIECES = (
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b": ",
        b",",
        b"- ",
        b"\n",
        b"\n  ",
        b"&a ",
        b"*a ",
        b"<<: ",
        b"? ",
    ),
    *(
        b"!!str ",
        b"|\n",
        b'"',
        b"'",
        b"'''",
        b"#",
        b"---\n",
        b"%YAML 1.1\n",
        b"\\u",
        b"\xff",
        b"\x00",
    ),
    *(
        b"\xef\xbb\xbf",
        b"${A}",
        b"$${",
        b"${",
        b"null",
        b"off",
        b"1e999",
        b"2026-01-02",
        b"a.b = 1\n",
    ),
    *(b"server", b"services", b"endpoints", b"http://", b"routes", b"path", b"[[routes]]\n"),
)


def check(data: bytes, file: Path) -> None:
    file.write_bytes(data)
    begin = time.process_time()
    try:
        verify(load(file, {}, {"A": "\udcff{"})).to_bytes()
    except ConfigError as error:
        if not error.problems:
            raise ValueError("a ConfigError without problems") from error
        str(error).encode()
    assert time.process_time() - begin < DEADLINE_S


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any")


relaxed = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@relaxed
@given(data=st.binary(max_size=200), suffix=st.sampled_from(SUFFIXES))
def test_any_bytes(directory: Path, data: bytes, suffix: str) -> None:
    check(data, directory / f"any{suffix}")


@relaxed
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=40), suffix=st.sampled_from(SUFFIXES))
@example(pieces=[b"["] * 40, suffix=".yaml")
def test_any_pieces_of_syntax(directory: Path, pieces: list[bytes], suffix: str) -> None:
    check(b"".join(pieces), directory / f"pieces{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_mutations_of_real_files(directory: Path, suffix: str) -> None:
    source = random.Random(20_260_101)
    for _ in range(300):
        data = bytearray(source.choice(SEEDS))
        for _ in range(source.randint(1, 4)):
            at = source.randrange(len(data) + 1)
            data[at : at + source.randint(0, 6)] = source.choice(PIECES)
        check(bytes(data), directory / f"mutation{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "data",
    [
        b"[" * 20_000,
        b"{" * 20_000,
        b"- " * 20_000,
        b'{"a":' * 20_000,
        b"a: " * 20_000,
        b"a = " + b"[" * 20_000,
        b"a = " + b"{a = " * 20_000,
        b"&a " * 20_000,
        b"*" * 20_000,
        b'"' + b"\\" * 20_000,
        b"a: &a [" + b"*a," * 5_000,
        b"9" * 20_000,
        b"\n" * 20_000,
        b"# " * 20_000,
        b"'" * 20_001,
    ],
    ids=lambda data: repr(data[:8]),
)
def test_what_parsers_fear(directory: Path, data: bytes, suffix: str) -> None:
    check(data, directory / f"fear{suffix}")
