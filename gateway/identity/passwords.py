"""Passwords: what they must look like, and argon2id in threads of its own.

A hash takes tens of milliseconds of a core and megabytes of memory. So it never runs on an event
loop, only a few run at a time, in threads that give way to everything else on the machine, and not
many wait: a flood of logins makes logins slow, and nothing else.
"""

import asyncio
import os
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

__all__ = ["Busy", "Checked", "Cost", "Passwords", "Rules", "check_rules"]

Result = TypeVar("Result")

NICENESS = 10
"""Added to that of the threads that hash: workers on their cores get nine tenths of the time, and
more in the control process, whose threads are nice already."""


class Busy(Exception):
    """Too many passwords wait to be hashed already."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a new password must look like."""

    min_length: int = 8
    """Characters."""
    max_length: int = 128
    lower: bool = True
    """Whether a lower-case letter must occur; so on."""
    upper: bool = True
    digit: bool = True
    special: str = "@$!%*?&"
    """Characters of which one must occur; empty asks for none."""


def check_rules(text: str, rules: Rules = Rules()) -> list[str]:
    """What a password lacks, as phrases behind "The password"; empty if nothing."""
    missing = []
    if len(text) < rules.min_length:
        missing.append(f"must have at least {rules.min_length} characters")
    if len(text) > rules.max_length:
        missing.append(f"must have at most {rules.max_length} characters")
    if rules.lower and not any(character.islower() for character in text):
        missing.append("must have a lower-case letter")
    if rules.upper and not any(character.isupper() for character in text):
        missing.append("must have an upper-case letter")
    if rules.digit and not any(character.isdigit() for character in text):
        missing.append("must have a digit")
    if rules.special and not any(character in rules.special for character in text):
        missing.append(f"must have one of the characters {rules.special}")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        missing.append("must not have control characters")
    return missing


@dataclass(frozen=True, slots=True)
class Cost:
    """What one hash takes. The defaults are OWASP's minimum for argon2id."""

    memory_kib: int = 19 * 1024
    passes: int = 2
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a password was right, and what to store instead if the cost has changed."""

    ok: bool
    rehashed: str | None = None


class Passwords:
    """Hashes and checks passwords. Close it when it is no longer needed."""

    def __init__(self, cost: Cost = Cost(), *, threads: int = 2, waiting: int = 64) -> None:
        """At most ``threads`` hashes run and ``waiting`` more wait for one of them."""
        self._hasher = PasswordHasher(
            time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.lanes, type=Type.ID
        )
        self._executor = ThreadPoolExecutor(threads, "argon2", initializer=_give_way)
        self._limit = threads + waiting
        self._unfinished = 0
        # What an unknown user's password is compared with. The first job, so it is there in time.
        self._nobody: Future[str] = self._executor.submit(self._hasher.hash, secrets.token_hex(16))

    async def hash(self, password: str) -> str:
        """The text to store. Busy if too many wait."""
        return await self._run(lambda: self._hash(password))

    async def check(self, stored: str | None, password: str) -> Checked:
        """Compare with what is stored; None for an unknown user takes just as long. Busy as above.

        A stored text that is no hash of argon2 is as wrong as a wrong password.
        """
        return await self._run(lambda: self._check(stored, password))

    def close(self) -> None:
        """End the threads; what waits is given up."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    async def _run(self, job: Callable[[], Result]) -> Result:
        if self._unfinished >= self._limit:
            raise Busy(f"{self._unfinished} passwords wait to be hashed")
        running = asyncio.get_running_loop().run_in_executor(self._executor, job)
        self._unfinished += 1
        running.add_done_callback(self._finished)
        return await running

    def _finished(self, _: object) -> None:
        self._unfinished -= 1

    def _hash(self, password: str) -> str:
        return self._hasher.hash(_normal(password))

    def _check(self, stored: str | None, password: str) -> Checked:
        expected = self._nobody.result() if stored is None else stored
        try:
            self._hasher.verify(expected, _normal(password))
        except (VerificationError, InvalidHashError):
            return Checked(ok=False)
        if stored is None:
            return Checked(ok=False)
        changed = self._hasher.check_needs_rehash(stored)
        return Checked(ok=True, rehashed=self._hash(password) if changed else None)


def _normal(password: str) -> bytes:
    """One form for what looks alike: keyboards differ in how they compose é (NIST SP 800-63B)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _give_way() -> None:
    os.nice(NICENESS)  # on Linux of this thread alone
