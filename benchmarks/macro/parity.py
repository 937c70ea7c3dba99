"""Are the peers doing the same work? The bytes of a few requests, looked at before each cell."""

from dataclasses import dataclass, field

from benchmarks.macro import request
from benchmarks.macro.peers.peer import Instance
from benchmarks.macro.ready import OK, Answer, ask, connect

CONTENT_TYPE = "application/json"
CORRELATION = ("x-correlation-id", "x-request-id")
FORWARDED = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")


class ParityError(Exception):
    """A peer does not do the same work as the others; the text lists every difference."""


@dataclass(frozen=True)
class Parity:
    """What a peer does to a request. `problems` must be empty for a cell to count."""

    head_bytes: int
    """Size of the answer's header fields on the wire."""
    added: tuple[str, ...]
    """Fields that the upstream got and the downstream did not send."""
    correlation_returned: bool
    problems: tuple[str, ...] = field(default=())


def check(instance: Instance) -> Parity:
    """Sends three requests over one connection. Raises ParityError on a difference."""
    connection = connect(instance.port)
    try:
        measured = ask(connection, instance.peer.paths()[0])
        first_socket = connection.sock
        echoes = [ask(connection, request.ECHO_PATH) for _ in range(2)]
        kept = connection.sock is first_socket
    finally:
        connection.close()
    parity = compare(measured, [parse_echo(echo.body) for echo in echoes], kept)
    if parity.problems:
        raise ParityError(f"{instance.name}: " + "; ".join(parity.problems))
    return parity


def parse_echo(body: str) -> dict[str, str]:
    """The upstream's echo: one ``name: value`` a line, an empty value for a missing field."""
    return {
        name: value.strip()
        for name, colon, value in (line.partition(":") for line in body.splitlines())
        if colon
    }


def compare(measured: Answer, echoes: list[dict[str, str]], downstream_kept: bool) -> Parity:
    """The measured answer and two echoes against what every peer must do."""
    problems = [*answer_problems(measured), *request_problems(echoes[0])]
    if not downstream_kept:
        problems.append("the downstream connection was closed")
    if int(echoes[-1]["connection-requests"]) < 2:
        problems.append("the upstream connection was not used again")
    returned = {name.lower() for name in measured.fields}
    return Parity(
        head_bytes=sum(len(f"{name}: {value}\r\n") for name, value in measured.fields.items()),
        added=tuple(name for name in (*CORRELATION, *FORWARDED) if echoes[0].get(name)),
        correlation_returned=bool(returned & set(CORRELATION)),
        problems=tuple(problems),
    )


def answer_problems(answer: Answer) -> list[str]:
    """Status, body and the fields that describe the body."""
    problems = []
    if answer.status != OK:
        problems.append(f"status {answer.status} instead of {OK}")
    if answer.body != request.BODY:
        problems.append(f"the body has {len(answer.body)} characters and is not the upstream's")
    if answer.fields.get("Content-Length") != str(len(request.BODY)):
        problems.append(f"Content-Length is {answer.fields.get('Content-Length')}")
    if answer.fields.get("Content-Type") != CONTENT_TYPE:
        problems.append(f"Content-Type is {answer.fields.get('Content-Type')}")
    return problems


def request_problems(echo: dict[str, str]) -> list[str]:
    """Every field of the request must reach the upstream unchanged, and the target too."""
    problems = [
        f"the upstream got {name}: {echo.get(name.lower())!r}"
        for name, value in request.FIELDS
        if echo.get(name.lower()) != value
    ]
    if echo.get("request") != f"GET {request.ECHO_PATH} HTTP/1.1":
        problems.append(f"the upstream got {echo.get('request')!r}")
    if "close" in echo.get("connection", ""):
        problems.append("the upstream was told to close the connection")
    return problems
