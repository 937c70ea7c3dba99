"""The wheel beside a model that looks at every entry."""

import ctypes

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    rule,
)

from gateway import _core
from gateway._core import TimerWheel
from tests.structures.models.timer_wheel import TICK_MS, TimerWheelModel

DAY_MS = 24 * 3600 * 1000

# Around each level's turn (6.4 s, 7 min, 7 h, 19 days), and past the last.
DELAYS_MS = st.one_of(
    st.integers(-1000, 2000),
    st.integers(0, 10_000),
    st.integers(0, 1_000_000),
    st.integers(0, 2 * DAY_MS),
    st.integers(0, 60 * DAY_MS),
    st.sampled_from([64**level * TICK_MS for level in range(5)]),
)


class WheelBesideModel(RuleBasedStateMachine):
    handles: Bundle[int] = Bundle("handles")

    @initialize(now_ms=st.integers(0, 40 * DAY_MS))
    def start(self, now_ms: int) -> None:
        self.model = TimerWheelModel(now_ms)
        self.wheel = TimerWheel(now_ms)

    def due(self, delay_ms: int) -> int:
        return max(0, self.model.now_ms + delay_ms)

    @rule(target=handles, delay_ms=DELAYS_MS)
    def insert(self, delay_ms: int) -> int:
        handle = self.wheel.insert(self.due(delay_ms))
        assert handle not in self.model.armed.keys() | self.model.disarmed
        self.model.arm(handle, self.due(delay_ms))
        return handle

    @rule(handle=handles, delay_ms=DELAYS_MS)
    def update(self, handle: int, delay_ms: int) -> None:
        self.wheel.update(handle, self.due(delay_ms))
        self.model.arm(handle, self.due(delay_ms))

    @rule(target=handles, handle=consumes(handles))
    def remove(self, handle: int) -> MultipleResults[int]:
        self.wheel.remove(handle)
        self.model.remove(handle)
        with pytest.raises(KeyError):
            self.wheel.update(handle, 0)
        return multiple()

    @rule(by_ms=st.one_of(st.integers(0, 350), DELAYS_MS.map(abs)))
    def advance(self, by_ms: int) -> None:
        now_ms = self.model.now_ms + by_ms
        fired: list[int] = []
        while len(due := self.wheel.advance(now_ms, capacity=2)) == 2:
            fired += due
        fired += due
        assert len(fired) == len(set(fired))
        assert set(fired) == self.model.advance(now_ms)


WheelBesideModel.TestCase.settings = settings(stateful_step_count=60, deadline=None)
TestWheelBesideModel = WheelBesideModel.TestCase


def test_updates_between_two_halves_of_an_advance_count() -> None:
    wheel = TimerWheel(0)
    handles = {wheel.insert(100) for _ in range(4)}
    first = set(wheel.advance(100, capacity=1))
    later, gone, rest = sorted(handles - first)
    wheel.update(later, 250)
    wheel.remove(gone)
    assert wheel.advance(100) == [rest]
    assert wheel.advance(299) == []
    assert wheel.advance(300) == [later]


def test_the_c_face() -> None:
    face = ctypes.CDLL(_core.__file__)
    face.gw_wheel_new.restype = ctypes.c_void_p
    face.gw_wheel_advance.restype = ctypes.c_size_t
    wheel = ctypes.c_void_p(face.gw_wheel_new(ctypes.c_uint64(0)))
    due = (ctypes.c_uint32 * 4)()

    def advance(now_ms: int) -> list[int]:
        capacity = ctypes.c_size_t(len(due))
        return due[: face.gw_wheel_advance(wheel, ctypes.c_uint64(now_ms), due, capacity)]

    first = face.gw_wheel_insert(wheel, ctypes.c_uint64(100))
    second = face.gw_wheel_insert(wheel, ctypes.c_uint64(100))
    face.gw_wheel_update(wheel, second, ctypes.c_uint64(200))
    assert advance(100) == [first]
    face.gw_wheel_update(wheel, first, ctypes.c_uint64(300))
    face.gw_wheel_remove(wheel, second)
    face.gw_wheel_remove(wheel, second)
    assert advance(10_000) == [first]
    face.gw_wheel_free(wheel)
    face.gw_wheel_free(None)
