import pytest

from gateway.counted import counted


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 requests"), (1, "1 request"), (2, "2 requests")]
)
def test_one_is_singular(number: int, text: str) -> None:
    assert counted(number, "request") == text
