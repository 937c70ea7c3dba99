"""What a canonical path is, told as plainly as possible: the oracle of gateway_core::path.

Source: RFC 3986 §3.3 (what a path is made of), §6.2.2 (one spelling), §5.2.4 (dot segments).
"""

import re
import string
from urllib.parse import unquote_to_bytes

UNRESERVED = string.ascii_letters + string.digits + "-._~"
ALLOWED_RAW = UNRESERVED + "!$&'()*+,;=" + ":@" + "/"


class PathRefusedError(ValueError):
    """The text is the error's name."""


def normalize_path(path: bytes, encoded_slashes: str = "reject") -> bytes:
    """The canonical form of ``path``; raises PathRefusedError."""
    if not path.startswith(b"/"):
        raise PathRefusedError("not_absolute")
    text = _respell(path, encoded_slashes)
    if re.search("%25(2E|2F|5C|00)", text, re.IGNORECASE):
        raise PathRefusedError("double_encoding")
    try:
        unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise PathRefusedError("not_utf8") from None
    return _resolve(text).encode("ascii")


def _respell(path: bytes, encoded_slashes: str) -> str:
    """Gives every character its one spelling: raw or escaped."""
    out = ""
    at = 0
    while at < len(path):
        char = chr(path[at])
        if char != "%":
            out += _respell_raw(char)
            at += 1
            continue
        digits = path[at + 1 : at + 3]
        if not re.fullmatch(b"[0-9A-Fa-f]{2}", digits):
            raise PathRefusedError("bad_escape")
        out += _respell_escaped(chr(int(digits, 16)), encoded_slashes)
        at += 3
    return out


def _respell_raw(char: str) -> str:
    if char == "#":
        raise PathRefusedError("fragment")
    if char == "\\":
        raise PathRefusedError("backslash")
    if not "!" <= char <= "~":
        raise PathRefusedError("control")
    return char if char in ALLOWED_RAW else f"%{ord(char):02X}"


def _respell_escaped(char: str, encoded_slashes: str) -> str:
    if char == "\0":
        raise PathRefusedError("nul")
    if char < " " or char == "\x7f":
        raise PathRefusedError("control")
    if char == "\\":
        raise PathRefusedError("backslash")
    if char == "/" and encoded_slashes == "reject":
        raise PathRefusedError("encoded_slash")
    return char if char in UNRESERVED else f"%{ord(char):02X}"


def _resolve(text: str) -> str:
    """Resolves dot segments and drops empty ones."""
    names: list[str] = []
    ends_in_directory = False
    for segment in text.split("/")[1:]:
        name = _bare(segment)
        ends_in_directory = segment == "" or name in (".", "..")
        if name == "..":
            if not names:
                raise PathRefusedError("above_root")
            names.pop()
        elif ends_in_directory:
            continue
        elif any(_bare(piece) in (".", "..") for piece in segment.split("%2F")):
            raise PathRefusedError("encoded_slash")
        else:
            names.append(segment)
    tail = "/" if names and ends_in_directory else ""
    return "/" + "/".join(names) + tail


def _bare(segment: str) -> str:
    name = re.split(";|%3B|%253[Bb]", segment, maxsplit=1)[0]
    return re.sub("(%20|%2520)*$", "", name)
