"""cext/calls.pyx: one call of the script at a time, counted whatever becomes of it."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from gateway.cext.calls import Calls
from gateway.cext.lane import Lane
from tests.structures.wire import Wire, link_on

TERMS = ("token_bucket", 5, 1000, 7)
ANSWER = b"*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n"


class Node:
    """Calls about one lane, and the other end of their connection."""

    def __init__(self, wait_s: float = 60) -> None:
        self.wire = Wire()
        self.link = link_on(self.wire)
        self.failed: list[str] = []
        self.got: list[Any] = []
        self.calls = Calls(partial(Lane, 0, b""), b"LOAD", "n", wait_s, self.fail)

    def fail(self, error: Exception) -> None:
        """As a dispatcher does."""
        self.failed.append(type(error).__name__)
        self.calls.end()

    async def ask(self) -> None:
        """One question, sent if nothing is under way."""
        self.calls.lane.ask([("k", TERMS, 1, 1)], self.got.append)
        await asyncio.sleep(0)

    def sent(self) -> int:
        return self.wire.written.count(b"EVALSHA")

    def counted(self) -> tuple[int, int]:
        return self.calls.made, self.calls.failures


@pytest.fixture
async def make_node() -> Callable[..., Node]:
    return Node


@pytest.fixture
async def node(make_node: Callable[..., Node]) -> Node:
    made = make_node()
    made.calls.begin(made.link, b"sha")
    return made


async def test_what_comes_meanwhile_goes_with_the_next_call(node: Node) -> None:
    await node.ask()
    await node.ask()
    await node.ask()
    assert (node.sent(), node.calls.is_idle) == (1, False)
    node.link.data_received(ANSWER)
    await asyncio.sleep(0)
    assert node.sent() == 2
    node.link.data_received(b"*8\r\n" + b":1\r\n" * 8)
    assert node.got == [[1, 2, 3, 4], [1, 1, 1, 1], [1, 1, 1, 1]]
    assert (node.counted(), node.calls.is_idle) == ((2, 0), True)


async def test_a_script_that_is_gone_is_loaded_and_called_again(node: Node) -> None:
    await node.ask()
    node.link.data_received(b"-NOSCRIPT No matching script\r\n")
    assert node.wire.written.count(b"LOAD") == 1
    node.link.data_received(b"+sha\r\n" + ANSWER)
    assert (node.got, node.counted(), node.failed) == ([[1, 2, 3, 4]], (2, 0), [])


async def test_a_script_that_stays_gone_is_a_failure(node: Node) -> None:
    await node.ask()
    node.link.data_received(b"-NOSCRIPT\r\n+sha\r\n-NOSCRIPT\r\n")
    assert (node.got, node.counted(), node.failed) == ([None], (2, 1), ["RedisError"])


@pytest.mark.parametrize("answer", [b"*1\r\n:1\r\n", b"*4\r\n" + b"+x\r\n" * 4, b":1\r\n"])
async def test_an_answer_of_something_else_is_a_failure(node: Node, answer: bytes) -> None:
    await node.ask()
    node.link.data_received(answer)
    assert (node.got, node.counted(), len(node.failed)) == ([None], (1, 1), 1)


async def test_a_number_that_is_too_large_is_a_failure(node: Node) -> None:
    await node.ask()
    node.link.data_received(b"*4\r\n" + b"(99999999999999999999\r\n" * 4)
    assert (node.got, node.counted(), node.failed) == ([None], (1, 1), ["ValueError"])


async def test_a_call_without_an_answer_is_counted_with_its_time(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(wait_s=0.02)
    node.calls.begin(node.link, b"sha")
    await node.ask()
    await asyncio.sleep(0.1)
    assert (node.got, node.counted(), node.failed) == ([None], (1, 1), ["TimeoutError"])
    assert node.calls.seconds >= 0.02


async def test_a_call_that_an_end_cuts_is_counted(node: Node) -> None:
    await node.ask()
    await asyncio.sleep(0.01)
    node.calls.end()
    assert (node.got, node.counted()) == ([None], (1, 1))
    assert node.calls.seconds >= 0.01
    node.calls.end()
    assert node.counted() == (1, 1)


async def test_what_nobody_sent_is_no_call(make_node: Callable[..., Node]) -> None:
    node = make_node()
    await node.ask()
    node.calls.end()
    assert (node.got, node.counted(), node.calls.seconds) == ([None], (0, 0), 0.0)


async def test_a_connection_that_is_closed_already_is_a_failure_and_no_error(node: Node) -> None:
    node.link.close()
    await node.ask()
    assert (node.got, node.counted(), node.failed) == ([None], (1, 1), ["RedisError"])
