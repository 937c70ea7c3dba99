"""A DNS server on a free port of 127.0.0.1, over UDP and TCP, whose records a test may change."""

import contextlib
import socket
import socketserver
import threading
from typing import Any, cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

MAX_UDP = 512
"""Bytes of an answer to a question without EDNS (RFC 1035 section 4.2.1)."""


class DnsServer:
    """Answers with ``records``: (name, type) → data as in a zone file. Names it does not know do
    not exist.
    """

    def __init__(self, ttl_s: int = 1) -> None:
        self.ttl_s = ttl_s
        self.records: dict[tuple[str, str], list[str]] = {}
        self.questions: list[tuple[str, str]] = []
        self.silent = False
        """Receives and says nothing."""
        self.truncates = False
        """Over UDP, every answer says that it is to be had over TCP."""
        self.rcode = dns.rcode.NOERROR
        self._tcp = _TcpServer(("127.0.0.1", 0), _TcpQuestion)
        self._tcp.dns = self
        self.port: int = self._tcp.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", self.port))
        self._threads = [
            threading.Thread(target=self._serve_udp, name="dns", daemon=True),
            threading.Thread(target=self._tcp.serve_forever, args=(0.05,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def set(self, name: str, kind: str, *data: str) -> None:
        """Replace the records of this name and type; without data, they are gone."""
        self.records[name, kind] = list(data)

    def answer(self, question: bytes, udp: bool) -> bytes | None:
        asked = dns.message.from_wire(question)
        response = dns.message.make_response(asked)
        [entry] = asked.question
        name = entry.name.to_text(omit_final_dot=True)
        kind = dns.rdatatype.to_text(entry.rdtype)
        self.questions.append((name, kind))
        if self.silent:
            return None
        response.flags |= dns.flags.RA
        response.set_rcode(self.rcode)
        if self.rcode == dns.rcode.NOERROR:
            self._fill(response, entry.name.to_text(), name, kind)
        if udp and self.truncates:
            response.flags |= dns.flags.TC
            response.answer.clear()
        return response.to_wire(max_size=65_535)

    def _fill(self, response: dns.message.Message, owner: str, name: str, kind: str) -> None:
        alias = self.records.get((name, "CNAME"))
        if alias:
            response.answer.append(dns.rrset.from_text(owner, self.ttl_s, "IN", "CNAME", *alias))
            owner = alias[0]
            name = owner.removesuffix(".")
        if data := self.records.get((name, kind)):
            response.answer.append(dns.rrset.from_text(owner, self.ttl_s, "IN", kind, *data))
        elif not any(known == name for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)

    def _serve_udp(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                question, peer = self._udp.recvfrom(MAX_UDP)
                if not question:
                    return
                if answer := self.answer(question, udp=True):
                    self._udp.sendto(answer, peer)

    def close(self) -> None:
        self._tcp.shutdown()
        self._tcp.server_close()
        with contextlib.suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", ("127.0.0.1", self.port))
        for thread in self._threads:
            thread.join(5)
        self._udp.close()


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    dns: DnsServer


class _TcpQuestion(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server = cast(Any, self.server).dns
        while size := self.rfile.read(2):
            answer = server.answer(self.rfile.read(int.from_bytes(size)), udp=False)
            if answer is None:
                return
            self.wfile.write(len(answer).to_bytes(2) + answer)
