import pytest

from gateway.config.addresses import Address
from gateway.config.state import State, StateTarget, state_target

HOST = Address("redis.internal", 6379)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("memory://", StateTarget("memory")),
        ("redis://redis.internal", StateTarget("redis", (HOST,))),
        ("redis://redis.internal:7000/3", StateTarget("redis", (Address("redis.internal", 7000),),
                                                      database=3)),
        ("redis://[::1]:7000", StateTarget("redis", (Address("::1", 7000),))),
        ("redis://[::1]", StateTarget("redis", (Address("::1", 6379),))),
        ("rediss://ann:p%40ss@redis.internal",
         StateTarget("redis", (HOST,), tls=True, user="ann", password="p@ss")),
        ("redis://:secret@redis.internal", StateTarget("redis", (HOST,), password="secret")),
        ("redis+sentinel://a,b:1/main/2",
         StateTarget("sentinel", (Address("a", 26379), Address("b", 1)),
                     database=2, service="main")),
        ("redis+cluster://a:1,b:2", StateTarget("cluster", (Address("a", 1), Address("b", 2)))),
        ("redis+cluster://a/0", StateTarget("cluster", (Address("a", 6379),))),
    ],
)  # fmt: skip
def test_urls(url: str, target: StateTarget) -> None:
    assert state_target(url) == target
    assert State(url=url).url == url


@pytest.mark.parametrize(
    "url",
    ["", "memory", "memory://x", "http://a", "redis://", "redis://a,b", "redis://a/x", "redis://a/1/2",
     "redis://a?db=1", "redis://a:99999", "redis://a:x", "redis+sentinel://a", "redis+cluster://a/1",
     "redis://a_b c", "redis://[::1", "redis+sentinel://a,,b/main"],
)  # fmt: skip
def test_what_is_no_state_url(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        state_target(url)


@pytest.mark.parametrize("url", ["redis://ann:secret@a/1", "redis+sentinel://:secret@a,b/main"])
def test_passwords_are_not_shown(url: str) -> None:
    shown = State(url=url).model_dump(mode="json")["url"]
    assert shown == url.replace("secret", "***")


@pytest.mark.parametrize(
    "url", ["redis://ann:secret@a,b", "redis://ann:secret@a?x", "x://ann:secret@"]
)
def test_nor_in_messages(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        state_target(url)
    assert "secret" not in str(caught.value)
