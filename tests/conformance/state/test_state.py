import asyncio
import time
import uuid

from gateway.state.interface import Revocation, State


def name() -> str:
    """The servers are shared by all tests."""
    return uuid.uuid4().hex


async def test_fields_are_kept(state: State) -> None:
    key = name()
    assert await state.get("api_keys", key) is None
    await state.put("api_keys", key, {"userId": "u-1", "scopes": "read write", "é": ""}, 60)
    assert await state.get("api_keys", key) == {"userId": "u-1", "scopes": "read write", "é": ""}
    assert await state.get("codes", key) is None


async def test_fields_are_replaced_as_a_whole(state: State) -> None:
    key = name()
    await state.put("codes", key, {"a": "1", "b": "2"}, 60)
    await state.put("codes", key, {"b": "3"}, 60)
    assert await state.get("codes", key) == {"b": "3"}


async def test_fields_end(state: State) -> None:
    key = name()
    await state.put("codes", key, {"a": "1"}, 1)
    await asyncio.sleep(1.1)
    assert await state.get("codes", key) is None
    assert await state.take("codes", key) is None


async def test_what_was_got_is_a_copy(state: State) -> None:
    key = name()
    await state.put("codes", key, {"a": "1"}, 60)
    found = await state.get("codes", key)
    assert found is not None
    found["a"] = "2"
    assert await state.get("codes", key) == {"a": "1"}


async def test_one_of_many_takes_a_code(state: State) -> None:
    key = name()
    await state.put("codes", key, {"user": "u-1"}, 60)
    taken = await asyncio.gather(*[state.take("codes", key) for _ in range(20)])
    assert sorted(taken, key=bool)[-2:] == [None, {"user": "u-1"}]
    assert await state.get("codes", key) is None


async def test_forget(state: State) -> None:
    key = name()
    await state.put("codes", key, {"a": "1"}, 60)
    await state.forget("codes", key)
    await state.forget("codes", key)
    assert await state.get("codes", key) is None


async def test_counters(state: State) -> None:
    key = name()
    counts = await asyncio.gather(*[state.count("logins", key, 60) for _ in range(20)])
    assert sorted(counts) == list(range(1, 21))
    assert await state.count("logins", key, 60, by=-5) == 15
    assert await state.count("logins", key, 60, by=0) == 15
    await state.forget("logins", key)
    assert await state.count("logins", key, 60) == 1


async def test_a_counter_ends_a_time_after_its_first_use(state: State) -> None:
    key = name()
    await state.count("logins", key, 1)
    await asyncio.sleep(0.6)
    assert await state.count("logins", key, 1) == 2
    await asyncio.sleep(0.6)
    assert await state.count("logins", key, 1) == 1


async def test_revocations_come(state: State) -> None:
    now_s = int(time.time())
    expected = [Revocation("session", name(), now_s + 900, now_s + 900),
                Revocation("user", name(), now_s, now_s + 900),
                Revocation("key", name(), now_s, now_s + 60)]  # fmt: skip
    await state.revoke(expected[0])
    names = [revocation.name for revocation in expected]
    heard: dict[str, Revocation] = {}

    async def listen() -> None:
        async for revocation in state.revocations():
            if revocation.name in names:
                heard.setdefault(revocation.name, revocation)
            if len(heard) == len(expected):
                return

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0.2)
    for revocation in expected[1:]:
        await state.revoke(revocation)
    await asyncio.wait_for(listening, 5)
    assert list(heard) == names
    assert [heard[each.name].kind for each in expected] == ["session", "user", "key"]
    for revocation in expected:  # what was kept as a key has its end to the second or so
        assert abs(heard[revocation.name].before_s - revocation.before_s) <= 2
        assert abs(heard[revocation.name].until_s - revocation.until_s) <= 2
