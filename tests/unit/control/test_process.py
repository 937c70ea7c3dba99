"""The control process, on a thread of this one."""

import mmap
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway._core import Segment
from gateway.channel import Decoder, Message, encode
from gateway.control import process
from gateway.control.places import Places
from gateway.control.process import ControlTask
from gateway.control.publication import Publication
from gateway.control.publish import ConfigSource, publish
from gateway.listener import Listener
from gateway.supervisor.sockets import bind
from gateway.telemetry.log import name_process

TEXT = """\
services: { web: { endpoints: [ http://127.0.0.1:9 ] } }
routes: [ { path: /a, service: web } ]
"""


class Control:
    """The process, and the supervisor's end of its channel."""

    def __init__(self, path: Path, tokens: list[str]) -> None:
        self.path = path
        self.tokens = tokens
        path.write_text(TEXT)
        store_url = f"sqlite:///{path.parent}/gateway.db"
        source = ConfigSource(
            path,
            {
                "server.workers": "1",
                "server.run_dir": str(path.parent),
                "store.url": store_url,
            },
        )
        loaded = source.load()
        self.segment = Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True)
        self.publication = publish(loaded, Places(self.segment), 1)
        self.status, self.admin = (bind(name, "127.0.0.1", 0) for name in ("status", "admin"))
        self.channel, theirs = socket.socketpair()
        self.channel.settimeout(10)
        theirs.setblocking(False)
        self.decoder = Decoder()
        task = ControlTask(
            1, theirs, self.status, self.admin, self.segment, self.publication, source,
            loaded.config, path,
        )  # fmt: skip
        self.code: int | None = None
        self.thread = threading.Thread(target=lambda: setattr(self, "code", process.run(task)))
        self.thread.start()

    def send(self, **message: Any) -> None:
        self.channel.sendall(encode(message))

    def receive(self) -> Message:
        while True:
            for message in self.decoder.feed(self.channel.recv(1 << 16)):
                return message

    def get(self, listener: Listener, path: str) -> httpx.Response:
        token = self.tokens[0] if self.tokens else "none"
        headers = {"authorization": f"Bearer {token}"}
        url = f"http://{listener.address}{path}"
        return httpx.get(url, timeout=10, trust_env=False, headers=headers)

    def admin_get(self, path: str) -> httpx.Response:
        """Once the store is open and has printed its first token."""
        end = time.monotonic() + 10
        while not self.tokens:
            assert time.monotonic() < end, "no token was announced"
            time.sleep(0.01)
        return self.get(self.admin, path)

    def end(self) -> None:
        self.channel.close()
        self.thread.join(10)
        self.status.close()
        self.admin.close()
        name_process("gateway")


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Control]:
    tokens: list[str] = []
    monkeypatch.setattr(process, "_announce_admin_token", tokens.append)
    made = Control(tmp_path / "gateway.yaml", tokens)
    assert made.receive() == {"type": "ready", "generation": 1}
    yield made
    made.end()


def test_it_loads_and_compiles_when_asked(control: Control) -> None:
    control.path.write_text(TEXT + "server: { drain_timeout: 2s }\n")
    control.send(type="load", generation=2)
    while (message := control.receive())["type"] == "reload":  # the watch has seen it too
        pass
    publication = Publication.from_message(message["publication"])
    assert (publication.generation, publication.drain_timeout_s) == (2, 2)
    control.send(type="published", publication=message["publication"])
    while control.admin_get("/api/v1/config").json()["generation"] != 2:
        pass


def test_it_lists_the_problems(control: Control) -> None:
    control.path.write_text("nonsense: 1\nroute: 2\n")
    control.send(type="load", generation=2)
    while (message := control.receive())["type"] == "reload":
        pass
    assert message["type"] == "problems"
    assert message["generation"] == 2
    assert len(message["problems"]) == 2


def test_it_beats_and_serves_its_ports(control: Control) -> None:
    assert control.get(control.status, "/livez").text == "ok\n"
    assert control.admin_get("/api/v1/services").json()["items"][0]["name"] == "web"
    assert control.segment.last_beat(1) > 0


def test_it_asks_the_supervisor_for_the_status(control: Control) -> None:
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(control.get(control.status, "/health")))
    thread.start()
    question = control.receive()
    assert question["type"] == "status"
    control.send(type="answer", id=question["id"], answer={"healthy": True})
    thread.join(10)
    assert answers[0].json() == {"healthy": True}


def test_it_leaves_when_told(control: Control) -> None:
    control.send(type="exit")
    control.thread.join(10)
    assert control.code == 0


def test_it_leaves_when_the_supervisor_is_gone(control: Control) -> None:
    control.channel.close()
    control.thread.join(10)
    assert control.code == 0
