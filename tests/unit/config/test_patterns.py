import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._core import RouteTable, normalize_path
from gateway.config.patterns import (
    canonical_segment,
    has_literal_prefix,
    parse_host_pattern,
    parse_path,
    parse_path_pattern,
    shape,
)


@pytest.mark.parametrize(
    "pattern",
    [
        "/",
        "/a",
        "/a/",
        "/{x}",
        "/{x}/",
        "/{x...}",
        "/a/{user-id}/{rest...}",
        "/a.b~c-d_e",
        "/%C3%A9",
        "/a:b@c;d=e,f",
    ],
)
def test_patterns_are_kept_as_they_are(pattern: str) -> None:
    assert parse_path_pattern(pattern) == pattern
    RouteTable([{"path": pattern}])


def test_long_patterns_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 1024 bytes"):
        parse_path_pattern("/" + "a" * 1024)
    with pytest.raises(ValueError, match="at most 32 segments"):
        parse_path_pattern("/a" * 33)


segment = st.text(
    st.sampled_from("aB0-._~!$&'()*+,;=:@ \"<>^`|é{}%2fF5cC?#\\\x00"), min_size=1, max_size=6
)


@given(st.lists(segment, min_size=1, max_size=4))
def test_what_python_accepts_the_route_table_accepts(segments: list[str]) -> None:
    """An encoded slash is the exception: it depends on the server's setting."""
    pattern = "/" + "/".join(segments)
    try:
        parse_path_pattern(pattern)
    except ValueError:
        return
    if "%2F" not in pattern and "%25" not in pattern:
        RouteTable([{"path": pattern}], "keep")


@given(segment.filter(lambda text: "%" not in text and not set("\\?#\x00{}") & set(text)))
def test_a_canonical_segment_is_what_the_normaliser_makes(text: str) -> None:
    if text.partition(";")[0] in (".", ".."):
        return
    raw = "".join(
        char if char.isascii() and char != " " else "".join(f"%{b:02x}" for b in char.encode())
        for char in text
    )
    assert normalize_path(f"/{raw}".encode()).decode() == "/" + canonical_segment(text)


def test_literal_paths() -> None:
    assert parse_path("/") == "/"
    assert parse_path("/a/b") == "/a/b"
    with pytest.raises(ValueError, match=r"write /$"):
        parse_path("//")
    with pytest.raises(ValueError, match="empty segment"):
        parse_path("/a//b")
    with pytest.raises(ValueError, match="begins with /"):
        parse_path("a")
    for refused in ("/a%5cb", "/a%00", "/%1fa", "/%7F"):
        with pytest.raises(ValueError, match="character that is refused"):
            parse_path(refused)
    with pytest.raises(ValueError, match="resolved before"):
        parse_path("/..;a")
    with pytest.raises(ValueError, match="not UTF-8"):
        parse_path("/%B0")


def test_hosts() -> None:
    assert parse_host_pattern("*.Example.org") == "*.example.org"
    assert parse_host_pattern("::1") == parse_host_pattern("[::1]") == "[::1]"
    assert parse_host_pattern("10.0.0.1") == "10.0.0.1"
    RouteTable([{"path": "/", "hosts": ["*.example.org", "[::1]", "10.0.0.1"]}])


def test_shapes_forget_names() -> None:
    assert shape("/a/{x}/{y...}") == shape("/a/{z}/{w...}") != shape("/a/{x}/{y}")


def test_prefixes_are_whole_segments() -> None:
    assert has_literal_prefix("/a/{x}", "/a")
    assert has_literal_prefix("/a", "/a")
    assert has_literal_prefix("/a", "/")
    assert not has_literal_prefix("/ab", "/a")
    assert not has_literal_prefix("/{x...}", "/a")
