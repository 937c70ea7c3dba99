"""Types of the compiled extension: the Rust structures for coarse calls and tests."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, final

__version__: str
CYTHON_MODULES: list[str]

# ---- Paths and routes ----------------------------------------------------------------------------

def normalize_path(path: bytes, encoded_slashes: Literal["reject", "keep"] = "reject") -> bytes:
    """The canonical form of a request's path (RFC 3986 §6.2.2), the only one that is ever used.

    Raises ValueError whose text is the error's name: bad_escape, nul, control, backslash,
    encoded_slash, double_encoding, not_utf8, above_root, fragment or not_absolute.
    """

@final
class Match:
    """What a lookup found."""

    @property
    def route(self) -> int | None:
        """Place of the winner in the list of routes; None without one."""
    @property
    def params(self) -> dict[str, str]:
        """Values of the winner's parameters, spelt as in the canonical path (escapes stay)."""
    @property
    def allow(self) -> list[str]:
        """Methods for `Allow`, if routes take this host and path but not this method."""

@final
class Candidate:
    """A route whose host and path match a request."""

    @property
    def route(self) -> int: ...
    @property
    def verdict(self) -> str:
        """`wins`, `shadowed`, `method`, `header NAME` or `query NAME` (what does not hold)."""

@final
class RouteTable:
    """Which route takes a request. Immutable.

    `routes` are dicts as in the Plan; keys that routing does not need are ignored. Raises
    ValueError with the place and the remedy, such as `routes[3].path: ...`.
    """

    def __init__(
        self,
        routes: Sequence[Mapping[str, Any]],
        encoded_slashes: Literal["reject", "keep"] = "reject",
    ) -> None: ...
    @property
    def address(self) -> int:
        """Pointer for Cython (`GwRoutes *`), valid while this object lives."""
    def match(
        self,
        method: str,
        host: str,
        path: str,
        query: str = "",
        headers: Sequence[tuple[str, str]] = ...,
    ) -> Match:
        """The route that takes a request. `path` is canonical, `query` comes without `?`."""
    def explain(
        self,
        method: str,
        host: str,
        path: str,
        query: str = "",
        headers: Sequence[tuple[str, str]] = ...,
    ) -> list[Candidate]:
        """Every route whose host and path match, best first."""
