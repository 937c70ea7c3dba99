"""The control socket, both ends."""

import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.supervisor.client import NotRunning, ask
from gateway.supervisor.commands import CommandServer, Reply
from gateway.supervisor.errors import StartError
from gateway.supervisor.run_dir import CONTROL_SOCKET


def handle(command: str, reply: Reply) -> None:
    if command == "status":
        reply.done(True, status={"generation": 1})
    elif command == "drain":
        reply.progress("one")
        reply.progress("two")
        reply.done(True)
    else:
        reply.done(False, error=f"unknown command {command!r}")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[CommandServer]:
    selector = selectors.DefaultSelector()
    server = CommandServer(selector, tmp_path / CONTROL_SOCKET, handle)
    running = True

    def loop() -> None:
        while running:
            for key, mask in selector.select(0.02):
                key.data(mask)

    thread = threading.Thread(target=loop)
    thread.start()
    yield server
    running = False
    thread.join()
    server.close()
    selector.close()


def raw(path: Path, data: bytes) -> Any:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(str(path / CONTROL_SOCKET))
        sock.sendall(data)
        return orjson.loads(b"".join(iter(lambda: sock.recv(4096), b"")))


def no_progress(text: str) -> None:
    raise AssertionError(text)


@pytest.mark.usefixtures("server")
def test_a_command_gets_its_result(tmp_path: Path) -> None:
    assert ask(tmp_path, "status", no_progress) == {"ok": True, "status": {"generation": 1}}
    assert not ask(tmp_path, "dance", no_progress)["ok"]


@pytest.mark.usefixtures("server")
def test_progress_comes_first(tmp_path: Path) -> None:
    lines: list[str] = []
    collect: Callable[[str], None] = lines.append
    assert ask(tmp_path, "drain", collect) == {"ok": True}
    assert lines == ["one", "two"]


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("line", [b"status\n", b"[]\n", b"{}\n", b"x" * 5000])
def test_what_is_no_command_is_answered(tmp_path: Path, line: bytes) -> None:
    answer = raw(tmp_path, line)
    assert answer["ok"] is False
    assert "command" in answer["error"]


@pytest.mark.usefixtures("server")
def test_a_client_that_goes_away_harms_nobody(tmp_path: Path) -> None:
    for data in (b"", b'{"comm', b'{"command": "drain"}\n'):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(tmp_path / CONTROL_SOCKET))
            sock.sendall(data)
    assert ask(tmp_path, "status", no_progress)["ok"]


def test_only_the_owner_may_open_it(tmp_path: Path, server: CommandServer) -> None:
    assert (tmp_path / CONTROL_SOCKET).stat().st_mode & 0o777 == 0o600


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        ask(tmp_path, "status", no_progress)
    with socket.socket(socket.AF_UNIX) as leftover:
        leftover.bind(str(tmp_path / CONTROL_SOCKET))
    with pytest.raises(NotRunning):
        ask(tmp_path, "status", no_progress)


def test_a_path_too_long_for_a_socket_is_explained(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    with selectors.DefaultSelector() as selector, pytest.raises(StartError, match="107 bytes"):
        CommandServer(selector, deep / CONTROL_SOCKET, handle)
