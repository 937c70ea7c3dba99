import pytest

from gateway.identity.scopes import covers, intersect


@pytest.mark.parametrize(
    ("granted", "wanted", "expected"),
    [
        ({"read"}, "read", True),
        ({"read"}, "write", False),
        ({"*"}, "content:read", True),
        ({"content:*"}, "content:read", True),
        ({"content:*"}, "content:videos:write", True),
        ({"content:videos:*"}, "content:videos:write", True),
        ({"content:*"}, "content", False),
        ({"content:*"}, "contents:read", False),
        ({"content:read"}, "content:*", False),
        ({"content*"}, "content:read", False),
        (set(), "read", False),
    ],
)
def test_covers(granted: set[str], wanted: str, expected: bool) -> None:
    assert covers(granted, wanted) is expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({"read", "write"}, {"read"}, {"read"}),
        ({"content:*"}, {"content:read", "billing"}, {"content:read"}),
        ({"*"}, {"a", "b:*"}, {"a", "b:*"}),
        ({"a"}, {"b"}, set()),
        (set(), {"*"}, set()),
    ],
)
def test_intersect(first: set[str], second: set[str], expected: set[str]) -> None:
    assert intersect(first, second) == intersect(second, first) == expected
