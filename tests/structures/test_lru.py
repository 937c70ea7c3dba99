"""The table of recent byte strings, beside its model."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gateway._core import Lru
from tests.structures.models.lru import ENTRY_OVERHEAD, LruModel

MAX_ENTRIES = 5
MAX_BYTES = 4 * (ENTRY_OVERHEAD + 60)
TEXTS = st.binary(max_size=4).flatmap(
    lambda head: st.sampled_from([0, 30, 40, 300]).map(lambda length: head + b"t" * length)
)
"""Long ones with the same tail, so that the hash alone cannot tell them apart."""


class LruBesideModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.lru = Lru(MAX_ENTRIES, MAX_BYTES)
        self.model = LruModel(MAX_ENTRIES, MAX_BYTES)

    @rule(data=TEXTS)
    def find(self, data: bytes) -> None:
        assert self.lru.find(data) == self.model.find(data)

    @rule(data=TEXTS)
    def insert(self, data: bytes) -> None:
        self.model.inserted(data, self.lru.insert(data))

    @rule(length=st.integers(0, 400))
    def evict(self, length: int) -> None:
        assert self.lru.evict_for(length) == self.model.evict_for(length)

    @invariant()
    def size(self) -> None:
        assert len(self.lru) == len(self.model.slots)


TestLruBesideModel = LruBesideModel.TestCase
TestLruBesideModel.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
