"""Passwords that administrators set: the configured rules, and hashes of the configured cost."""

from collections.abc import Callable

from gateway.config.auth import PasswordRules
from gateway.identity.passwords import Cost, Passwords, Rules, check_rules

__all__ = ["NewPasswords"]


class NewPasswords:
    """One thread, started when the first password comes. Close it at the end."""

    def __init__(self, section: Callable[[], PasswordRules]) -> None:
        """``section`` is asked each time: a reload may have changed it."""
        self._section = section
        self._cost: Cost | None = None
        self._passwords: Passwords | None = None

    def missing(self, password: str) -> list[str]:
        """What the password lacks, as phrases behind "The password"; empty if nothing."""
        rules = self._section()
        return check_rules(
            password,
            Rules(
                rules.min_length, rules.max_length, rules.lower, rules.upper, rules.digit,
                rules.special,
            ),
        )  # fmt: skip

    async def hash(self, password: str) -> str:
        """The text to store."""
        rules = self._section()
        cost = Cost(rules.memory_kib, rules.passes)
        if self._passwords is None or cost != self._cost:
            self.close()
            self._passwords, self._cost = Passwords(cost, threads=1), cost
        return await self._passwords.hash(password)

    def close(self) -> None:
        """End the thread."""
        if self._passwords is not None:
            self._passwords.close()
            self._passwords = None
