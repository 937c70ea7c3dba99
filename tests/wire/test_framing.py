"""Every case of ``framing/*.toml``: whole, a byte at a time, cut in two everywhere, pipelined."""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.servers.client import Client, Response
from tests.servers.gateway import GatewayThread
from tests.servers.plans import plan, service
from tests.servers.upstream import EchoUpstream, Request
from tests.wire.tables import as_list, cases, check_fields

CASES = cases(Path(__file__).parent / "framing")
# Cutting in two at every position costs a connection each; longer cases test limits, not parsing.
LONGEST_CUT = 320
LONGEST_SLOW = 2000
GOOD = b"GET /good HTTP/1.1\r\nHost: a\r\n\r\n"
# Time for the gateway to read the first part of a request before the second is sent.
PART_PAUSE_S = 0.01
# An upstream that should get nothing is watched for as long as a request takes many times over.
QUIET_S = 0.02


@dataclass
class Bench:
    gateway: GatewayThread
    echo: EchoUpstream


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    echo = EchoUpstream()
    gateway = GatewayThread(plan([service(echo.address)]), access_log=False)
    yield Bench(gateway, echo)
    gateway.close()
    echo.close()


@pytest.mark.parametrize("case", CASES)
def test_whole(bench: Bench, case: dict[str, Any]) -> None:
    _run(bench, case, slowly=False)


@pytest.mark.parametrize("case", [c for c in CASES if len(c.values[0]["request"]) <= LONGEST_SLOW])
def test_a_byte_at_a_time(bench: Bench, case: dict[str, Any]) -> None:
    _run(bench, case, slowly=True)


@pytest.mark.parametrize("case", [c for c in CASES if len(c.values[0]["request"]) <= LONGEST_CUT])
def test_cut_in_two_at_every_position(bench: Bench, case: dict[str, Any]) -> None:
    request = case["request"]
    before = _Before(bench.echo)
    with contextlib.ExitStack() as stack:
        connect = bench.gateway.connect
        clients = [stack.enter_context(connect()) for _ in range(1, len(request))]
        for position, client in enumerate(clients, 1):
            client.send(request[:position])
        time.sleep(PART_PAUSE_S)
        for position, client in enumerate(clients, 1):
            client.try_send(request[position:])
        verdicts = set()
        for position, client in enumerate(clients, 1):
            try:
                verdicts.add(_check_client(client, case))
            except Exception as error:
                error.add_note(f"cut in front of byte {position}: {request[position:][:40]!r}")
                raise
    assert len(verdicts) == 1, f"the verdict depends on where the bytes are cut: {verdicts}"
    _check_upstream(before, case, verdicts.pop(), len(clients))


@pytest.mark.parametrize("case", CASES)
def test_behind_a_good_request(bench: Bench, case: dict[str, Any]) -> None:
    before = _Before(bench.echo)
    with bench.gateway.connect() as client:
        client.try_send(GOOD + case["request"])
        assert client.recv_response().status == 200
        verdict = _check_client(client, case)
    arrived = before.arrived()
    assert [each.target for each in arrived[:1]] == ["/good"]
    _check_upstream(before, case, verdict, 1, skip=1)


def _run(bench: Bench, case: dict[str, Any], slowly: bool) -> None:
    before = _Before(bench.echo)
    with bench.gateway.connect() as client:
        client.try_send(case["request"], slowly)
        verdict = _check_client(client, case)
        if verdict in ("forward", "answer") and case.get("closed") is False:
            assert client.get("/after").status == 200
    _check_upstream(before, case, verdict, 1)
    with bench.gateway.connect() as bystander:
        assert bystander.get("/bystander").status == 200


class _Before:
    """What the upstream had seen when the case began."""

    def __init__(self, echo: EchoUpstream) -> None:
        self._echo = echo
        self._requests = set(map(id, echo.requests))
        self._received = echo.received
        self._faults = len(echo.faults)

    def arrived(self) -> list[Request]:
        """Complete requests since then."""
        return [r for r in self._echo.requests if id(r) not in self._requests and r.raw]

    def received(self) -> int:
        return self._echo.received - self._received

    def faults(self) -> list[str]:
        return self._echo.faults[self._faults :]


def _check_client(client: Client, case: dict[str, Any]) -> str:
    """Which of the allowed verdicts the client saw; fails if it is none of them."""
    allowed = as_list(case["verdict"])
    try:
        response = client.recv_response(_method(case["request"]))
    except EOFError:
        assert "abort" in allowed, "the connection was closed without an answer"
        return "abort"
    if response.status == 200 and "forward" in allowed:
        return _check_answers(client, case, response)
    _check_refusal(response, case)
    # Where staying open is allowed too, many clients may do so: no long wait for each.
    patience_s = 0.1 if "answer" in allowed else 2.0
    if {"reject", "abort"} & set(allowed) and _closes(client, patience_s):
        return "reject" if "reject" in allowed else "abort"
    assert "answer" in allowed, f"refused with {response.status}, but the connection stays open"
    return "answer"


def _method(request: bytes) -> str:
    """HEAD changes how a response is read; every other method, real or not, is read like GET."""
    return "HEAD" if request.startswith(b"HEAD ") else "GET"


def _closes(client: Client, within_s: float) -> bool:
    try:
        client.socket.settimeout(within_s)
        client.recv_eof()
    except TimeoutError:
        return False
    return True


def _check_answers(client: Client, case: dict[str, Any], first: Response) -> str:
    assert first.complete
    for _ in range(1, case.get("count", 1)):
        assert client.recv_response().status == 200
    if case.get("closed"):
        client.recv_eof()
    return "forward"


def _check_refusal(response: Response, case: dict[str, Any]) -> None:
    allowed = case.get("status", [400])
    assert response.status in allowed, f"{response.status}, want {allowed}: {response.body!r}"
    if "code" in case:
        assert json.loads(response.body)["code"] == case["code"]


def _check_upstream(
    before: _Before, case: dict[str, Any], verdict: str, connections: int, skip: int = 0
) -> None:
    if verdict == "forward":
        expected = connections * case.get("count", 1) + skip
        arrived = before.arrived()[skip:]
        assert len(arrived) + skip == expected
        for request in arrived:
            _check_request(request, case, first=_is_first(request, case))
        return
    time.sleep(QUIET_S)
    arrived = before.arrived()[skip:]
    assert not arrived, f"a refused request went upstream: {arrived}"
    if verdict in ("reject", "answer") and not skip:
        assert before.received() == 0, "bytes of a refused request went upstream"


def _is_first(request: Request, case: dict[str, Any]) -> bool:
    return case.get("count", 1) == 1 or request.target == case.get("target")


def _check_request(request: Request, case: dict[str, Any], first: bool) -> None:
    for name in case.get("each_absent", []):
        assert request.get_all(name) == []
    if not first:
        return
    for key in ("method", "target"):
        if key in case:
            assert getattr(request, key) == case[key]
    if "body" in case:
        assert request.body == case["body"].encode("latin-1")
    check_fields(request, case)
    for name in case.get("trailers_absent", []):
        assert name not in dict(request.trailers)
    for text in case.get("raw_absent", []):
        assert text.encode("latin-1") not in request.raw
    assert request.raw.startswith(f"{request.method} {request.target} HTTP/1.1\r\n".encode())
