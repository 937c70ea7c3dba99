"""The sockets of one address."""

import socket

from gateway.listener import Listener


def test_an_address_is_host_and_port() -> None:
    assert Listener("server.http", [], "127.0.0.1", 8000).address == "127.0.0.1:8000"


def test_an_ipv6_address_is_written_with_brackets() -> None:
    assert Listener("server.http", [], "::1", 8000).address == "[::1]:8000"


def test_close_gives_every_socket_back() -> None:
    sockets = [socket.socket(), socket.socket()]
    Listener("server.http", sockets, "127.0.0.1", 8000).close()
    assert [sock.fileno() for sock in sockets] == [-1, -1]
