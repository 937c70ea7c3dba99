"""Every case of ``responses/*.toml``: what an upstream sends, and what the client may see of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.servers.client import Client, Response
from tests.servers.upstream import OK, REQUEST, Do, ScriptedUpstream, Step
from tests.wire.tables import as_list, cases, check_fields

CASES = cases(Path(__file__).parent / "responses")
SMALL = [case for case in CASES if len(case.values[0]["upstream"]) <= 600]
DEFAULT_REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
THEN: dict[str, tuple[Step, ...]] = {
    "keep": (*REQUEST, OK),  # answers once more if the gateway dares to use it again
    "close": (Do.CLOSE,),
    "reset": (0.05, Do.RESET),  # after the bytes were read: RST overtakes what is still queued
}


@pytest.mark.parametrize("case", CASES)
def test_at_once(gateway: Any, scripted: Any, case: dict[str, Any]) -> None:
    _run(gateway, scripted, case, [case["upstream"]])


@pytest.mark.parametrize("case", SMALL)
def test_a_byte_at_a_time(gateway: Any, scripted: Any, case: dict[str, Any]) -> None:
    data = case["upstream"]
    paced: list[Step] = []
    for index in range(len(data)):
        paced += [data[index : index + 1], 0.0002]
    _run(gateway, scripted, case, paced)


def _run(gateway: Any, scripted: Any, case: dict[str, Any], sending: list[Step]) -> None:
    # A fresh connection that dies unanswered may not be retried: the second script answers
    # only what comes after the case.
    first = (*REQUEST, *sending, *THEN[case.get("then", "keep")])
    upstream: ScriptedUpstream = scripted(first, (*REQUEST, OK))
    running = gateway(to=upstream)
    request = case.get("request", DEFAULT_REQUEST)
    with running.connect() as client:
        client.send(request)
        response = client.recv_response(request.split(b" ", 1)[0].decode())
        _check(response, case)
        closed = not response.complete or not client.is_open()
        if not response.complete:
            client.recv_eof()
        elif "closed" in case:
            assert closed == case["closed"]
        _check_next(running.connect() if closed else client, upstream, case)


def _check(response: Response, case: dict[str, Any]) -> None:
    allowed = as_list(case["verdict"])
    if not response.complete:
        assert "abort" in allowed, f"cut after {response.body!r}"
        if "body" in case:
            assert case["body"].startswith(response.body.decode("latin-1"))
    elif response.status == 502 and "refuse" in allowed:
        codes = as_list(case.get("code", "upstream_protocol_error"))
        assert json.loads(response.body)["code"] in codes
        return
    else:
        assert "response" in allowed, f"a broken response looks whole: {response.raw!r}"
        if "body" in case:
            assert response.body == case["body"].encode("latin-1")
    assert response.status == case["status"]
    check_fields(response, case)
    for name in case.get("trailers_absent", []):
        assert name not in dict(response.trailers)
    if "informational" in case:
        assert response.informational == case["informational"]


def _check_next(client: Client, upstream: ScriptedUpstream, case: dict[str, Any]) -> None:
    first = upstream.connections[0]
    with client:
        if case.get("reused") is False:
            assert first.ended.wait(8.0), "a connection that may not be reused stays open"
        response = client.get("/second")
        assert (response.status, response.body) == (200, b"ok")
    if "reused" in case:
        assert (len(upstream.connections) == 1) == case["reused"]
