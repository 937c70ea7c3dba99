"""What a split gives to each part: what was decided, and the rest by weight."""

from typing import Any

import pytest

from gateway.upstreams.splits import shares_of, split_states


def split(*weights: int) -> list[dict[str, Any]]:
    return [
        {"service": number, "weight": weight, "place": number}
        for number, weight in enumerate(weights)
    ]


@pytest.mark.parametrize(
    ("weights", "decided", "shares"),
    [
        ((3, 1), {}, [0.75, 0.25]),
        ((95, 5), {1: 500}, [0.5, 0.5]),
        ((50, 50, 0), {2: 400}, [0.3, 0.3, 0.4]),
        ((1, 1), {0: 0}, [0, 1]),
        ((1, 1), {0: 300, 1: 700}, [0.3, 0.7]),
        ((1, 1, 1), {0: 800, 1: 400}, [0.8, 0.4, 0]),
    ],
)
def test_shares(weights: tuple[int, ...], decided: dict[int, int], shares: list[float]) -> None:
    assert shares_of(split(*weights), decided.get) == pytest.approx(shares)


def test_states() -> None:
    route = {"name": "release", "split": split(95, 5)}
    [state] = split_states([route], [{"name": "v1"}, {"name": "v2"}], {1: 250}.get)
    assert state == {
        "route": "release",
        "parts": [
            {"service": "v1", "share": 0.75, "is_set": False},
            {"service": "v2", "share": 0.25, "is_set": True},
        ],
    }
