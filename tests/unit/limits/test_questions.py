"""gateway/limits/questions.py: what goes to the script, and what comes back."""

import pytest

from gateway.limits.questions import Answer, Question, answers, call, key_of


def test_keys_name_the_form_only_of_windows() -> None:
    assert key_of("per_user", "token_bucket", "user:a") == "rate_limit:user:a:per_user"
    assert key_of("w", "sliding_window", "ip:::1") == "rate_limit:sliding:ip:::1:w"


def test_a_call_holds_all_requests_in_order() -> None:
    one = Question("k1", "token_bucket", 5, 1000, 7, 2, True)
    two = one._replace(key="k2", enforced=False)
    made = call([[one], [two, one]], "n")
    assert made.keys == ["k1", "k2", "k1"]
    assert made.arguments == [
        "n", 2,
        1, "token_bucket", 5, 1000, 7, 2, 1,
        2, "token_bucket", 5, 1000, 7, 2, 0, "token_bucket", 5, 1000, 7, 2, 1,
    ]  # fmt: skip


def test_answers_go_to_their_requests() -> None:
    one = Question("k", "token_bucket", 5, 1000, 7, 2, True)
    assert answers([[one], [], [one]], [1, 2, 3, 4, 0, 6, 7, 8]) == [
        [Answer(1, 2, 3, 4)],
        [],
        [Answer(0, 6, 7, 8)],
    ]


def test_another_answer_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        answers([[]], [1])
