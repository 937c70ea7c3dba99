from email.message import Message

import pytest

from benchmarks.macro import parity, request
from benchmarks.macro.ready import Answer


def answer(status: int = 200, body: str = request.BODY, **fields: str) -> Answer:
    message = Message()
    message["Content-Type"] = "application/json"
    message["Content-Length"] = str(len(request.BODY))
    for name, value in fields.items():
        del message[name.replace("_", "-")]
        message[name.replace("_", "-")] = value
    return Answer(status, message, body)


def echo(**changes: str) -> dict[str, str]:
    fields = {name.lower(): value for name, value in request.FIELDS}
    fields["request"] = f"GET {request.ECHO_PATH} HTTP/1.1"
    fields["connection-requests"] = "2"
    return {**fields, **{name.replace("_", "-"): value for name, value in changes.items()}}


def test_a_faithful_proxy_has_no_problem() -> None:
    found = parity.compare(
        answer(x_correlation_id="7"), [echo(x_forwarded_for="127.0.0.1"), echo()], True
    )
    assert found.problems == ()
    assert found.added == ("x-forwarded-for",)
    assert found.correlation_returned


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (answer(status=502), "status 502"),
        (answer(body="{}"), "body has 2"),
        (answer(content_length="9"), "Content-Length is 9"),
        (answer(content_type="text/html"), "Content-Type is text/html"),
    ],
)
def test_an_answer_that_differs(changed: Answer, problem: str) -> None:
    (found,) = parity.answer_problems(changed)
    assert problem in found


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (echo(authorization=""), "authorization"),
        (echo(host="127.0.0.1"), "host"),
        (echo(request="GET /other HTTP/1.1"), "/other"),
        (echo(connection="close"), "close the connection"),
    ],
)
def test_a_request_that_differs(changed: dict[str, str], problem: str) -> None:
    (found,) = parity.request_problems(changed)
    assert problem in found.lower()


def test_connections_that_are_not_kept() -> None:
    found = parity.compare(answer(), [echo(), echo(connection_requests="1")], False)
    assert len(found.problems) == 2


def test_the_echo_is_read_back() -> None:
    assert parity.parse_echo("host: a:80\nx-request-id: \nrequest: GET / HTTP/1.1\n") == {
        "host": "a:80",
        "x-request-id": "",
        "request": "GET / HTTP/1.1",
    }
