"""cext/conversation.pyx: commands out, answers in, and an end for everybody who waits."""

import asyncio
from typing import Any

import hiredis
import pytest

from gateway.cext.conversation import READ
from gateway.cext.lane import Batch, Lane
from gateway.limits.link import Link
from tests.structures.wire import Wire, link_on


@pytest.fixture
async def wire() -> Wire:
    return Wire()


@pytest.fixture
async def link(wire: Wire) -> Link:
    return link_on(wire)


def batch_of(questions: int) -> Batch:
    lane = Lane(0, b"", lambda: None)
    lane.ask([("k", ("token_bucket", 5, 1000, 7), 1, 1)] * questions, lambda answer: None)
    batch = lane.take()
    assert batch is not None
    return batch


async def test_answers_come_in_order_however_they_are_cut(link: Link, wire: Wire) -> None:
    got: list[Any] = []
    link.send(b"one", got.append)
    link.send(b"two", got.append)
    assert wire.written == b"onetwo"
    for byte in b"+OK\r\n*2\r\n:1\r\n$1\r\na\r\n":
        link.data_received(bytes([byte]))
    assert got == [b"OK", [1, b"a"]]


async def test_an_error_of_the_node_is_an_answer(link: Link) -> None:
    got: list[Any] = []
    link.send(b"x", got.append)
    link.data_received(b"-MOVED 1 h:1\r\n")
    assert isinstance(got[0], hiredis.ReplyError)
    assert not link.closed.done()


async def test_the_script_s_answer_is_read_by_its_batch_alone(link: Link) -> None:
    got: list[Any] = []
    link.send(b"x", got.append, batch_of(1))
    link.data_received(b"*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n")
    assert got == [READ]


async def test_the_script_s_answer_in_two_parts_is_a_list(link: Link) -> None:
    got: list[Any] = []
    link.send(b"x", got.append, batch_of(1))
    link.data_received(b"*4\r\n:1\r\n:2\r\n")
    link.data_received(b":3\r\n:4\r\n")
    assert got == [[1, 2, 3, 4]]


async def test_what_nobody_asked_for_is_no_answer(link: Link) -> None:
    got: list[Any] = []
    link.data_received(b"+nobody waits\r\n")
    link.send(b"x", got.append)
    link.data_received(b">2\r\n+message\r\n+to all\r\n")
    assert got == []
    link.data_received(b"+mine\r\n")
    assert got == [b"mine"]


async def test_what_is_no_protocol_ends_it(link: Link, wire: Wire) -> None:
    got: list[Any] = []
    link.send(b"x", got.append)
    link.data_received(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert (got, wire.ended, link.closed.done()) == ([None], True, True)


async def test_an_end_tells_each_who_waits_once(link: Link) -> None:
    got: list[Any] = []
    link.send(b"x", got.append)
    link.send(b"y", got.append)
    link.connection_lost(None)
    link.close()
    assert got == [None, None]


async def test_after_the_end_nothing_is_written_and_the_asker_is_told(
    link: Link, wire: Wire
) -> None:
    got: list[Any] = []
    link.close()
    link.send(b"x", got.append)
    assert (got, wire.written) == ([None], b"")


async def test_who_asks_again_when_told_of_the_end_is_told_again(link: Link) -> None:
    got: list[Any] = []

    def again(answer: object) -> None:
        got.append(answer)
        link.send(b"y", got.append)

    link.send(b"x", again)
    link.close()
    assert got == [None, None]
    await asyncio.wait_for(link.closed, 1)
