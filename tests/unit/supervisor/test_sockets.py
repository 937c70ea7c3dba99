"""Binding."""

import resource
import socket

import pytest

from gateway.supervisor.errors import StartError
from gateway.supervisor.sockets import bind, bind_reuseport, raise_file_limit


def test_every_worker_gets_a_socket_of_the_same_port() -> None:
    listener = bind_reuseport("server.http", "127.0.0.1", 0, 3)
    ports = {sock.getsockname()[1] for sock in listener.sockets}
    assert ports == {listener.port}
    assert listener.address == f"127.0.0.1:{listener.port}"
    listener.close()


def test_a_port_that_is_shared_by_others_is_refused() -> None:
    first = bind_reuseport("server.http", "127.0.0.1", 0, 2)
    with pytest.raises(StartError, match=r"server\.http: cannot listen .*`ss -ltnp"):
        bind_reuseport("server.http", "127.0.0.1", first.port, 2)
    first.close()
    bind_reuseport("server.http", "127.0.0.1", first.port, 2).close()


def test_what_chooses_another_port_is_said() -> None:
    first = bind("vod", "127.0.0.1", 0)
    for option, remedy in ((None, "--set vod=HOST:PORT"), ("--port PORT", "--port PORT")):
        with pytest.raises(StartError, match=f"choose another port with {remedy}"):
            bind("vod", "127.0.0.1", first.port, option)
    first.close()


def test_an_ipv6_address_is_written_with_brackets() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 on this machine")
    try:
        listener = bind("server.status", "::1", 0)
    except StartError:
        pytest.skip("no IPv6 loopback on this machine")
    assert listener.address == f"[::1]:{listener.port}"
    listener.close()


def test_an_address_of_another_machine_is_explained() -> None:
    with pytest.raises(StartError, match="No interface here has this address"):
        bind("server.admin", "192.0.2.1", 0)  # TEST-NET-1


def test_the_file_limit_is_raised_to_the_hard_one() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
        raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
