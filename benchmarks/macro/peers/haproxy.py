"""HAProxy on one thread, twice: with the fields that we add, and bare (the strict denominator)."""

from benchmarks.macro.peers.peer import Peer, Place, absent_command, printed_version

CONFIGURATION = """\
global
    nbthread 1
    maxconn 15000
    no strict-limits
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout http-keep-alive 1h
frontend downstream
    bind 127.0.0.1:{port} backlog 4096
    default_backend identity
{fields}backend identity
    http-reuse always
    server identity 127.0.0.1:{upstream_port} pool-max-conn 512
"""
# no strict-limits: where the limit of open files is below twice maxconn, go on with less.

FIELDS = """\
    unique-id-format %[uuid()]
    unique-id-header X-Correlation-ID
    http-response set-header X-Correlation-ID %[unique-id]
    option forwardfor
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
"""


class HAProxyBare(Peer):
    """HAProxy that forwards and adds nothing: no correlation id, no X-Forwarded-*."""

    name = "haproxy-bare"
    fields = ""

    def absent(self) -> str | None:
        """What is missing, if anything."""
        return absent_command("haproxy", "haproxy")

    def version(self) -> str:
        """``haproxy -v``."""
        return printed_version(["haproxy", "-v"])

    def configure(self, place: Place) -> list[str]:
        """One configuration file."""
        path = place.directory / "haproxy.cfg"
        path.write_text(
            CONFIGURATION.format(
                port=place.port, upstream_port=place.upstream_port, fields=self.fields
            )
        )
        return ["haproxy", "-db", "-f", str(path)]


class HAProxy(HAProxyBare):
    """HAProxy that adds the same fields as the gateway."""

    name = "haproxy"
    fields = FIELDS
