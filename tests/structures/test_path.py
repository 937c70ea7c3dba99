"""Canonical paths: the Rust structure against its readable model, and against attacks."""

from typing import Literal
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway._core import RouteTable, normalize_path
from tests.structures.models import path as model

Slashes = Literal["reject", "keep"]

# fmt: off
PIECES = st.sampled_from([
    "/", "//", ".", "..", "...", ";", "a", "~", "public", "admin",
    "%2e", "%2E", "%2f", "%5c", "\\", "%3b", "%41", "%20", "%7f", "%00",
    "%25", "%32", "%65", "2e", "2f", "5c", "00",
    "%c3%a9", "%c0%af", "%e2%82%ac", "%ef%bc%8e", "%ed%a0%80", "%f0%9f%98%80",
    "%", "%4", "%zz", "#", "?", "[", "{", "|", '"',
])
# fmt: on
HOSTILE_PATHS = st.one_of(
    st.lists(PIECES, max_size=14).map(lambda pieces: ("/" + "".join(pieces)).encode()),
    st.binary(max_size=40),
    st.binary(max_size=20).map(lambda tail: b"/" + tail),
)
SLASHES = st.sampled_from(["reject", "keep"])


def outcome(path: bytes, slashes: Slashes) -> bytes | str:
    try:
        return normalize_path(path, slashes)
    except ValueError as error:
        return str(error)


def expected(path: bytes, slashes: Slashes) -> bytes | str:
    try:
        return model.normalize_path(path, slashes)
    except model.PathRefusedError as error:
        return str(error)


@given(HOSTILE_PATHS, SLASHES)
@example(b"/%25%32%65%25%32%65/", "reject")
@example(b"/a%2f..;x", "keep")
@example(b"", "reject")
def test_the_structure_and_its_model_agree_also_on_the_error(path: bytes, slashes: Slashes) -> None:
    assert outcome(path, slashes) == expected(path, slashes)


@given(HOSTILE_PATHS, SLASHES)
def test_a_canonical_path_is_its_own_canonical_path(path: bytes, slashes: Slashes) -> None:
    once = outcome(path, slashes)
    if isinstance(once, bytes):
        assert outcome(once, slashes) == once


# hardening: normalisation bypass (Traefik CVE-2026-48020, Envoy CVE-2019-9901 and CVE-2021-29492).
# Each spelling of "one segment up" stands between an open prefix and a protected one.
ATTACKS = {
    "/public/../admin": b"/admin",
    "/public/%2e%2e/admin": b"/admin",
    "/public/.%2E/admin": b"/admin",
    "/public/%252e%252e/admin": "double_encoding",
    "/public/%25%32%65%25%32%65/admin": "double_encoding",
    "/public/x//../../admin": b"/admin",
    "//admin": b"/admin",
    "/public//..//admin": b"/admin",
    "/./admin": b"/admin",
    "/public/./../admin": b"/admin",
    "/public%2f..%2fadmin": "encoded_slash",
    "/public/..%2fadmin": "encoded_slash",
    "/public/..%252fadmin": "double_encoding",
    "/public/..%5cadmin": "backslash",
    "/public/..%255cadmin": "double_encoding",
    "/public/..\\admin": "backslash",
    "/public/..;x/admin": b"/admin",
    "/public/..;/admin": b"/admin",
    "/public/%2e%2e;x=1/admin": b"/admin",
    "/public/..%3b/admin": b"/admin",
    "/public/..%3Bx/admin": b"/admin",
    "/public/..%20/admin": b"/admin",
    "/public/..%20%2520;x/admin": b"/admin",
    "/public/.%20/admin": b"/public/admin",
    "/public/a%20/..x%20/admin": b"/public/a%20/..x%20/admin",
    "/public/..%253b/admin": b"/admin",
    "/public/.%3b/../admin": b"/admin",
    "/admin;x": b"/admin;x",
    "/admin%00": "nul",
    "/public/..%00/admin": "nul",
    "/public/..%2500/admin": "double_encoding",
    "/public/x#/../../admin": "fragment",
    "/public/%c0%ae%c0%ae/admin": "not_utf8",
    "/public/%e0%80%ae%e0%80%ae/admin": "not_utf8",
    "/public/..%c0%afadmin": "not_utf8",
    "/public/%ef%bc%8e%ef%bc%8e/admin": b"/public/%EF%BC%8E%EF%BC%8E/admin",
    "/public/..%ef%bc%8fadmin": b"/public/..%EF%BC%8Fadmin",
    "/public/.. /admin": "control",
    "/public/..\t/admin": "control",
    "/../admin": "above_root",
    "/public/../../admin": "above_root",
    "public/../admin": "not_absolute",
    "/%61dmin": b"/admin",
    "/%61%64%6D%69%6E": b"/admin",
}


@pytest.mark.parametrize("path", ATTACKS)
def test_each_spelling_of_an_attack_is_resolved_or_refused(path: str) -> None:
    assert outcome(path.encode(), "reject") == ATTACKS[path]


def readings_by_upstreams(path: str) -> list[str]:
    """What servers make of a path that decode it once or twice, strip parameters, take a backslash
    for a slash, or see no space behind dots.
    """
    readings = []
    for decodings in range(3):
        text = path
        for _ in range(decodings):
            text = unquote_to_bytes(text).decode("utf-8", "surrogateescape")
        segments: list[str] = []
        for segment in text.replace("\\", "/").split("/"):
            match segment.partition(";")[0].partition("\0")[0]:
                case name if name.rstrip(" ") == "..":
                    segments = segments[:-1]
                case name if name.rstrip(" ") in (".", ""):
                    continue
                case name:
                    segments.append(name)
        readings.append("/" + "/".join(segments))
    return readings


TABLE = RouteTable([{"path": "/public/{path...}"}, {"path": "/admin/{path...}"}])


@given(
    st.lists(PIECES, max_size=8).map(lambda pieces: f"/public/{''.join(pieces)}/admin"),
    SLASHES,
)
@example("/public/..;x/admin", "reject")
@example("/public/..%20/admin", "reject")
@example("/public/..%3b/admin", "reject")
@example("/public/..%253B/admin", "reject")
@example("/public/..%2fadmin", "keep")
def test_no_upstream_can_read_an_open_path_as_a_protected_one(path: str, slashes: Slashes) -> None:
    canonical = outcome(path.encode(), slashes)
    if isinstance(canonical, bytes) and TABLE.match("GET", "", canonical.decode()).route == 0:
        for reading in readings_by_upstreams(canonical.decode()):
            assert reading == "/public" or reading.startswith("/public/")


def test_an_unknown_setting_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'maybe' is unknown; write 'reject' or 'keep'"):
        normalize_path(b"/", "maybe")  # type: ignore[arg-type]
