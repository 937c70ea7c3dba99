"""What the table of recent byte strings does, with an ordered dictionary."""

from collections import OrderedDict

ENTRY_OVERHEAD = 96
"""Bytes that each entry counts besides its own (native/core/src/lru.rs)."""


class LruModel:
    """The string used last stands at the end."""

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self.slots: OrderedDict[bytes, int] = OrderedDict()
        self.max_entries = max_entries
        self.max_bytes = max_bytes

    def find(self, data: bytes) -> int | None:
        """Move it to the end."""
        if data in self.slots:
            self.slots.move_to_end(data)
        return self.slots.get(data)

    def has_room(self, length: int) -> bool:
        """Whether both bounds hold with one more string of this length."""
        used = sum(len(data) + ENTRY_OVERHEAD for data in self.slots)
        fits = used + length + ENTRY_OVERHEAD <= self.max_bytes
        return fits and len(self.slots) < self.max_entries

    def evict_for(self, length: int) -> int | None:
        """Take the first one, if one has to go."""
        if self.has_room(length) or not self.slots:
            return None
        return self.slots.popitem(last=False)[1]

    def inserted(self, data: bytes, slot: int | None) -> None:
        """The structure says where it put a string; the model says whether it could."""
        if data in self.slots:
            assert slot == self.slots[data]
            self.slots.move_to_end(data)
        elif self.has_room(len(data)):
            assert slot is not None
            assert slot > 0
            assert slot not in self.slots.values()
            self.slots[data] = slot
        else:
            assert slot is None
