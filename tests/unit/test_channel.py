"""Frames between the supervisor and its children."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.channel import FRAME_LIMIT, ChannelProtocol, Decoder, Message, encode

MESSAGES = st.lists(
    st.dictionaries(st.text(), st.text() | st.integers(-(2**53), 2**53) | st.none(), max_size=5),
    max_size=5,
)


@given(messages=MESSAGES, step=st.integers(1, 50))
def test_messages_survive_any_cut_of_the_stream(messages: list[Message], step: int) -> None:
    stream = b"".join(encode(message) for message in messages)
    decoder = Decoder()
    received = [
        message
        for start in range(0, len(stream), step)
        for message in decoder.feed(stream[start : start + step])
    ]
    assert received == messages


def test_a_frame_over_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(ValueError, match="the limit is"):
        list(Decoder().feed(struct.pack("!I", FRAME_LIMIT + 1)))


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(ValueError, match="unexpected"):
        list(Decoder().feed(struct.pack("!I", 3) + b"abc"))


def test_a_protocol_hands_on_messages_and_the_end() -> None:
    received: list[Message] = []
    ends: list[bool] = []
    protocol = ChannelProtocol(received.append, lambda: ends.append(True))
    frame = encode({"type": "exit"})
    protocol.data_received(frame[:3])
    assert received == []
    protocol.data_received(frame[3:] + frame)
    assert received == [{"type": "exit"}] * 2
    protocol.connection_lost(None)
    assert ends == [True]
    protocol.send({"type": "ready"})  # nobody is there: no error
