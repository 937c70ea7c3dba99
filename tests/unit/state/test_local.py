from gateway.state import local
from gateway.state.local import LocalState


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_memory_is_bounded() -> None:
    state = LocalState()
    for n in range(local.MAX_ENTRIES + 5000):
        await state.count("logins", str(n), 3600)
    assert state.size("logins") <= local.MAX_ENTRIES
    assert await state.count("logins", str(local.MAX_ENTRIES + 4999), 3600) == 2


async def test_what_is_over_goes_first() -> None:
    clock = Clock()
    state = LocalState(clock)
    for n in range(1000):
        await state.put("codes", str(n), {}, 10)
    clock.now = 11
    await state.put("codes", "new", {"a": "1"}, 10)
    assert state.size("codes") == 1
    assert await state.get("codes", "new") == {"a": "1"}


async def test_a_flood_of_one_kind_drops_none_of_another() -> None:
    state = LocalState()
    await state.put("codes", "pending", {"a": "1"}, 3600)
    for n in range(local.MAX_ENTRIES + 5000):
        await state.count("logins", str(n), 3600)
    assert await state.get("codes", "pending") == {"a": "1"}
