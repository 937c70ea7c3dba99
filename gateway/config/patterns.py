"""The syntax of path and host patterns, checked with messages for people.

The compiled route table (``gateway._core.RouteTable``) has the last word on what matches; this file
only makes sure that a pattern can match at all, and says how to write it if it cannot.
"""

import re
import string
from urllib.parse import unquote_to_bytes

from gateway.config.addresses import is_ip_address, parse_host
from gateway.config.values import shown

_PARAMETER = re.compile(r"\{([A-Za-z0-9_-]+)(\.\.\.)?\}")
_UNRESERVED = frozenset((string.ascii_letters + string.digits + "-._~").encode())
_ALLOWED_IN_SEGMENT = _UNRESERVED | frozenset(b"!$&'()*+,;=:@")
"""RFC 3986 section 3.3: pchar without percent-escapes."""

_PLAIN_SEGMENT = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_~.-]*")
"""Canonical at first sight: most segments."""
MAX_PATTERN_LENGTH = 1024
"""Bytes. No real pattern comes near it; it bounds the work of the route table's builder."""
MAX_SEGMENTS = 32
"""What the route table's lookup remembers of a path."""


def canonical_segment(segment: str) -> str:
    """A literal segment as it looks in a canonical path (RFC 3986 section 6.2.2)."""
    out: list[str] = []
    data = segment.encode()
    position = 0
    while position < len(data):
        byte = data[position]
        escape = re.match(rb"%([0-9A-Fa-f]{2})", data[position : position + 3])
        if escape:
            byte = int(escape[1], 16)
        keep = byte in (_UNRESERVED if escape else _ALLOWED_IN_SEGMENT)
        out.append(chr(byte) if keep else f"%{byte:02X}")
        position += 3 if escape else 1
    return "".join(out)


def check_literal_segment(segment: str) -> None:
    """Refuse a literal segment that no canonical path contains."""
    if _PLAIN_SEGMENT.fullmatch(segment):
        return
    # Parameters do not hide it from the resolver.
    if re.split(";|%3B|%253B", segment.upper(), maxsplit=1)[0] in (".", ".."):
        raise ValueError(f"{segment!r} is resolved before routes are matched and never matches")
    if re.search(r"%(?![0-9A-Fa-f]{2})", segment):
        raise ValueError(f"{segment!r} has a % without two hexadecimal digits; write %25 for a %")
    if "?" in segment or "#" in segment:
        raise ValueError(f"{segment!r} is not part of a path; match the query with `query:`")
    if re.search(r"(?i)[\\\x00-\x1f\x7f]|%(?:5c|[01][0-9a-f]|7f)", segment):
        raise ValueError(f"{segment!r} holds a character that is refused in every path")
    try:
        unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise ValueError(f"{segment!r} has escapes that are not UTF-8") from None
    canonical = canonical_segment(segment)
    if canonical != segment:
        raise ValueError(f"{segment!r} is not in canonical form; write {canonical}")


def parse_path(value: object) -> str:
    """A literal, canonical path such as ``/identity``: no parameters, no slash at the end."""
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError(f"must be a path that begins with /, not {shown(value)}")
    if value == "/":
        return value
    segments = value[1:].split("/")
    if segments[-1] == "":
        raise ValueError(f"must not end with /; write {value.rstrip('/') or '/'}")
    for segment in segments:
        if segment == "":
            raise ValueError("has an empty segment (//), which no canonical path contains")
        if "{" in segment or "}" in segment:
            raise ValueError(f"must be literal text, without parameters such as {segment}")
        check_literal_segment(segment)
    return value


def _parse_segment(segment: str, is_last: bool, names: set[str]) -> None:
    parameter = _PARAMETER.fullmatch(segment)
    if parameter is None:
        if "{" in segment or "}" in segment:
            raise ValueError(
                f"{segment!r} is not a parameter: {{name}} stands for one whole segment, "
                "{name...} for the rest; a name has letters, digits, _ and -"
            )
        check_literal_segment(segment)
        return
    name, is_rest = parameter[1], parameter[2] is not None
    if name in names:
        raise ValueError(f"the parameter {name!r} appears twice; give each its own name")
    if is_rest and not is_last:
        raise ValueError(f"{segment} takes the rest of the path and must be the last segment")
    names.add(name)


def parse_path_pattern(value: object) -> str:
    """``/a/{name}/{rest...}``: literal segments, ``{name}`` one segment, ``{name...}`` the rest."""
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError(f"must be a path pattern that begins with /, not {shown(value)}")
    if len(value.encode()) > MAX_PATTERN_LENGTH:
        raise ValueError(f"must be at most {MAX_PATTERN_LENGTH} bytes long")
    segments = value[1:].split("/")
    if len(segments) > MAX_SEGMENTS:
        raise ValueError(f"must have at most {MAX_SEGMENTS} segments")
    names: set[str] = set()
    for index, segment in enumerate(segments):
        is_last = index == len(segments) - 1
        if segment == "" and not is_last:
            raise ValueError("has an empty segment (//), which no canonical path contains")
        _parse_segment(segment, is_last, names)
    return value


def parse_host_pattern(value: object) -> str:
    """``api.example.org``, ``*.example.org`` or an IP address → lower case, no final dot."""
    if not isinstance(value, str) or not value:
        raise ValueError(
            f"must be a host such as api.example.org or *.example.org, not {shown(value)}"
        )
    prefix, host = ("*.", value[2:]) if value.startswith("*.") else ("", value)
    if "*" in host:
        raise ValueError(f"{value!r}: a * may only stand for the first label, as in *.example.org")
    if re.search(r"[^:]:[0-9]+$", host) and not host.startswith("[") and host.count(":") == 1:
        raise ValueError(f"{value!r}: leave out the port; it plays no part in matching")
    parsed = parse_host(host)
    if prefix and is_ip_address(parsed):
        raise ValueError(f"{value!r}: an address has no subdomains")
    return f"[{parsed}]" if ":" in parsed else prefix + parsed


def shape(pattern: str) -> str:
    """The pattern without its parameters' names: equal shapes match the same paths."""
    return "/".join(
        "{...}" if segment.endswith("...}") else "{}" if segment.startswith("{") else segment
        for segment in pattern.split("/")
    )


def has_literal_prefix(pattern: str, prefix: str) -> bool:
    """Whether every path that matches `pattern` begins with the whole segments of `prefix`."""
    return prefix == "/" or pattern == prefix or pattern.startswith(prefix + "/")
