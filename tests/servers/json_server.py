"""What the doubles of Consul and Kubernetes share: HTTP/1.1 on a free port, a thread for each
connection, and faults on demand.
"""

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

STEP_S = 0.02
"""How often a request that waits looks whether its server is closing."""


class JsonServer:
    """Subclasses answer in ``reply``. ``changed`` guards what they know and wakes who waits."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.changed = threading.Condition()
        self.requests: list[tuple[str, dict[str, list[str]], dict[str, str]]] = []
        """Path, parameters and fields (lower case) of each."""
        self.fault: tuple[int, bytes] | None = None
        """Status and body that every request gets from now on."""
        self._port = 0
        self._http: _Http | None = None
        self.start()

    @property
    def address(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Begin, or go on at the same port after ``stop``."""
        self._http = _Http(("127.0.0.1", self._port), _Request)
        self._http.owner = self
        if self._tls is not None:
            self._http.socket = self._tls.wrap_socket(self._http.socket, server_side=True)
        self._port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(STEP_S,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections, and end what runs."""
        if self._http is not None:
            http, self._http = self._http, None
            with self.changed:
                self.changed.notify_all()
            http.shutdown()
            http.server_close()

    close = stop

    @property
    def running(self) -> bool:
        return self._http is not None

    def reply(self, request: "_Request", path: str, parameters: dict[str, list[str]]) -> None:
        raise NotImplementedError


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    owner: JsonServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients of ours hang up in the middle: that is what many tests are about."""


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        owner = cast(_Http, self.server).owner
        parts = urlsplit(self.path)
        parameters = parse_qs(parts.query)
        fields = {name.lower(): value for name, value in self.headers.items()}
        owner.requests.append((parts.path, parameters, fields))
        if owner.fault is not None:
            self.send_body(*owner.fault)
        else:
            owner.reply(self, parts.path, parameters)

    def send_json(self, document: Any, status: int = 200, **fields: str) -> None:
        self.send_body(status, json.dumps(document).encode(), **fields)

    def send_body(self, status: int, body: bytes, **fields: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def end_stream(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """End the connection in the middle of an answer."""
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass
