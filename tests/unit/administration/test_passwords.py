"""Passwords that administrators set."""

from gateway.administration.passwords import NewPasswords
from gateway.config.auth import PasswordRules

CHEAP = PasswordRules(memory_kib=64, passes=1)


async def test_rules_and_cost_are_those_of_the_moment() -> None:
    rules = [CHEAP]
    passwords = NewPasswords(lambda: rules[0])
    assert passwords.missing("correct-Horse7!") == []
    assert (await passwords.hash("x")).startswith("$argon2id$v=19$m=64,t=1")
    rules[0] = PasswordRules(memory_kib=128, passes=2, min_length=20)
    assert passwords.missing("correct-Horse7!") == ["must have at least 20 characters"]
    assert (await passwords.hash("x")).startswith("$argon2id$v=19$m=128,t=2")
    passwords.close()
    passwords.close()
