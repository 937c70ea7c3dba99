"""Ask a server on 127.0.0.1 one request at a time: is it there, and what does it answer?"""

import http.client
import time
from dataclasses import dataclass
from email.message import Message

from benchmarks.macro import request
from benchmarks.macro.processes import Process, StartError

POLL_S = 0.001
"""Pause between two attempts: the resolution of the cold start's figure."""
READY_WITHIN_S = 20.0
"""Longer than the slowest peer's start on one busy core."""
ANSWER_WITHIN_S = 5.0
OK = 200


@dataclass(frozen=True)
class Answer:
    """One answer."""

    status: int
    fields: Message
    body: str


def connect(port: int) -> http.client.HTTPConnection:
    """A connection that has not been opened yet."""
    return http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_WITHIN_S)


def ask(connection: http.client.HTTPConnection, path: str) -> Answer:
    """Sends the measured request and reads the answer; the connection stays open."""
    connection.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
    for name, value in request.FIELDS:
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    return Answer(answer.status, answer.msg, answer.read().decode())


def answers(port: int, path: str = request.PATH) -> bool:
    """Whether a fresh connection gets a 200."""
    connection = connect(port)
    try:
        return ask(connection, path).status == OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wait_ready(process: Process, port: int, path: str = request.PATH) -> None:
    """Returns at the first 200. Raises StartError when the process ends or takes too long."""
    deadline = time.monotonic() + READY_WITHIN_S
    while not answers(port, path):
        process.raise_if_ended()
        if time.monotonic() > deadline:
            raise StartError(f"no answer within {READY_WITHIN_S:g} s:\n{process.log_tail()}")
        time.sleep(POLL_S)
