"""Fastify with @fastify/http-proxy on Node, one process: what a gateway written by hand costs.

It adds X-Forwarded-* and a correlation id.
"""

import json
import shutil
from pathlib import Path

from benchmarks.macro.peers.peer import CACHE, Peer, Place, absent_command

SOURCE = Path(__file__).parent / "fastify_proxy"
INSTALLED = CACHE / "fastify"


class Fastify(Peer):
    """The fastest of the well-known Node frameworks, with its own proxy plugin."""

    name = "fastify"

    def absent(self) -> str | None:
        """What is missing, if anything."""
        if missing := absent_command("node", "nodejs"):
            return missing
        installed = (INSTALLED / "node_modules" / "@fastify" / "http-proxy").exists()
        return None if installed else "not installed (npm: fastify, @fastify/http-proxy)"

    def version(self) -> str:
        """Fastify's own version."""
        package = INSTALLED / "node_modules" / "fastify" / "package.json"
        return str(json.loads(package.read_text())["version"])

    def configure(self, place: Place) -> list[str]:
        """The program stands beside its modules, where Node looks for them."""
        program = INSTALLED / "proxy.mjs"
        shutil.copyfile(SOURCE / "proxy.mjs", program)
        return ["node", str(program), str(place.port), str(place.upstream_port)]
