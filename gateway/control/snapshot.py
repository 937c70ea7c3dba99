"""The rows of the store as last seen, on disk: a cold start does not need the database."""

import hashlib
import logging
from pathlib import Path

from gateway.config.stored import Stored
from gateway.private_file import read_private, write_private

__all__ = ["SNAPSHOT_FILE", "read", "write"]

SNAPSHOT_FILE = "stored.json"
"""In ``server.run_dir``."""

log = logging.getLogger(__name__)


def read(run_dir: Path, store_url: str) -> Stored:
    """What was last written for this store; nothing if there is no snapshot of it."""
    try:
        owner, _, rows = read_private(run_dir / SNAPSHOT_FILE).partition(b"\n")
        return Stored.from_bytes(rows) if owner == _fingerprint(store_url) else Stored()
    except FileNotFoundError:
        return Stored()
    except (OSError, ValueError, TypeError) as error:
        log.error("the snapshot of the store in %s cannot be used: %s", run_dir, error)
        return Stored()


def write(run_dir: Path, store_url: str, stored: Stored) -> None:
    """Keep the rows. OSError if that is not possible."""
    content = _fingerprint(store_url) + b"\n" + stored.to_bytes()
    write_private(run_dir / SNAPSHOT_FILE, content)


def _fingerprint(store_url: str) -> bytes:
    """Tells stores apart without keeping a password."""
    return hashlib.sha256(store_url.encode()).hexdigest().encode()
