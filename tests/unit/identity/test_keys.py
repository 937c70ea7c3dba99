import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.keys import matches, new_key, parse_key


def test_a_new_key_parses_to_its_id_and_digest() -> None:
    key = new_key()
    assert parse_key(key.text) == (key.id, key.digest)
    assert key.text.startswith(f"gwk_{key.id}_")
    assert len(key.digest) == 32


def test_keys_differ() -> None:
    keys = [new_key() for _ in range(1000)]
    assert len({key.id for key in keys}) == len({key.text for key in keys}) == 1000


def test_the_secret_uses_all_its_room() -> None:
    """256 bits in base 62: every digit occurs, in every place but the first."""
    secrets = [new_key().text.split("_")[2][:43] for _ in range(4000)]
    for place in range(1, 43):
        assert {secret[place] for secret in secrets} == set(string.ascii_letters + string.digits)


@pytest.mark.parametrize("place", range(len(new_key().text)))
def test_one_wrong_character_is_refused(place: int) -> None:
    text = new_key().text
    wrong = "1" if text[place] != "1" else "2"
    assert parse_key(text[:place] + wrong + text[place + 1 :]) is None


@pytest.mark.parametrize(
    "text",
    ["", "gwk_", "gwk__", new_key().text[:-1], new_key().text + "0", new_key().text + "\n",
     f" {new_key().text}", new_key().text.upper(), "' OR 1=1 --",
     f"gwk_{12 * chr(0x663)}_{49 * chr(0x30)}"],
    ids=["empty", "prefix", "no id", "too short", "too long", "line", "blank", "upper case", "sql",
         "other digits"],
)  # fmt: skip
def test_what_is_no_key_is_refused(text: str) -> None:
    assert parse_key(text) is None


@given(st.text())
def test_any_text_is_refused(text: str) -> None:
    assert parse_key(text) is None


def test_matches() -> None:
    assert matches(b"a" * 32, b"a" * 32)
    assert not matches(b"a" * 32, b"a" * 31 + b"b")
    assert not matches(b"a" * 32, b"a" * 31)
