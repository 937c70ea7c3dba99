"""cext/field_name.pyx against a dict."""

import re
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gateway.cext.field_name import KNOWN, classify

MEANING = {name: meaning for meaning, names in KNOWN.items() for name in names}
FORWARDED = MEANING[b"forwarded"]
ALIAS = classify(b"x_y", 3)
OTHER = classify(b"accept", 6)
TOKENS = st.text("!#$%&'*+-.^_`|~0123456789abcdefXYZ", min_size=1, max_size=40)


def model(name: str) -> int:
    """What `classify` says, written the simple way."""
    lower = name.lower().encode()
    if lower in MEANING:
        return MEANING[lower]
    if re.sub(rb"[^a-z0-9]", b"-", lower) in MEANING or b"_" in lower:
        return ALIAS
    return FORWARDED if lower.startswith(b"x-forwarded-") and len(lower) > 12 else OTHER


def test_the_meanings_differ() -> None:
    assert len({*KNOWN, ALIAS, OTHER}) == len(KNOWN) + 2
    assert len(MEANING) == sum(len(names) for names in KNOWN.values()), "a name has one meaning"


@given(st.sampled_from(sorted(MEANING)), st.randoms(use_true_random=False))
def test_known_names_are_known_in_any_case(name: bytes, random: Random) -> None:
    mixed = "".join(letter.upper() if random.random() < 0.5 else letter for letter in name.decode())
    assert classify(mixed.encode(), len(mixed)) == MEANING[name]


@given(st.one_of(TOKENS, st.builds("x-forwarded-{}".format, TOKENS)))
def test_any_name_means_what_the_model_says(name: str) -> None:
    assert classify(name.encode(), len(name)) == model(name)


@given(st.sampled_from(sorted(MEANING)), st.data())
def test_a_name_with_one_letter_changed_is_another(name: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(name) - 1))
    letter = data.draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz-_0"))
    changed = name[:at].decode() + letter + name[at + 1 :].decode()
    assert classify(changed.encode(), len(changed)) == model(changed)
