"""The public halves of our signing keys, and the file that has them for a start without the store.

Whoever can write that file can sign for everybody. It is therefore read only if it is ours alone,
belongs to the configured store, and holds nothing but keys of the form in which we write them.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from gateway.identity.jwks import verification_keys
from gateway.identity.signing import thumbprint
from gateway.identity.strict_json import loads_object
from gateway.private_file import read_private, write_private

__all__ = ["PUBLIC_KEYS_FILE", "KeptKeys", "PublishedKey"]

PUBLIC_KEYS_FILE = "public_keys.json"
"""In ``server.run_dir``."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PublishedKey:
    """A key that our tokens are verified with."""

    jwk: Mapping[str, Any]
    retire_s: int | None
    """Unix time from which on it does not count any more."""


class KeptKeys:
    """The keys of one store, as they were last seen."""

    def __init__(self, run_dir: Path, store_url: str) -> None:
        self._path = run_dir / PUBLIC_KEYS_FILE
        # Tells stores apart without keeping a password.
        self._owner = hashlib.sha256(store_url.encode()).hexdigest()

    def read(self) -> list[PublishedKey]:
        """Those that were last written for this store; none if the file is not as we write it."""
        try:
            kept = loads_object(read_private(self._path))
            return _keys(kept) if kept.get("store") == self._owner else []
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            log.error("the public keys in %s cannot be used: %s", self._path, error)
            return []

    def write(self, keys: Sequence[PublishedKey]) -> None:
        """Keep them; what cannot be written is told to the log."""
        content = {
            "store": self._owner,
            "keys": [{"jwk": dict(key.jwk), "retire_s": key.retire_s} for key in keys],
        }
        try:
            write_private(self._path, orjson.dumps(content))
        except OSError as error:
            log.error("cannot keep the public keys: %s", error)


def _keys(kept: Mapping[str, Any]) -> list[PublishedKey]:
    """ValueError for anything that `KeptKeys.write` would not have written."""
    entries = kept.get("keys")
    if kept.keys() != {"store", "keys"} or not isinstance(entries, list):
        raise ValueError("it is not a list of keys")
    return [_key(entry) for entry in entries]


def _key(entry: Any) -> PublishedKey:
    if not isinstance(entry, dict) or entry.keys() != {"jwk", "retire_s"}:
        raise ValueError("an entry is no key")
    jwk, retire_s = entry["jwk"], entry["retire_s"]
    if not isinstance(jwk, dict) or not isinstance(retire_s, int | None):
        raise ValueError("an entry is no key")
    # RFC 7638: the name of a key is its thumbprint, so that it cannot stand for another one.
    if not verification_keys([jwk]) or jwk.get("kid") != thumbprint(jwk):
        raise ValueError(f"{jwk.get('kid')!r} is no key that could verify our tokens")
    return PublishedKey(jwk, retire_s)
