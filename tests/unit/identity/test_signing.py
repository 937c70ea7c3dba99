from dataclasses import replace
from typing import get_args

import pytest

from gateway.identity.signing import KeyRing, SigningAlgorithm, SigningKey, new_signing_key

ALGORITHMS = get_args(SigningAlgorithm)
FIRST = replace(new_signing_key("ES256", 1000), retire_s=6530)
SECOND = new_signing_key("ES256", 5600)
RING = KeyRing([SECOND, FIRST])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_survives_being_written(algorithm: SigningAlgorithm) -> None:
    key = new_signing_key(algorithm, 1)
    again = SigningKey(key.kid, key.algorithm, key.private_pem, key.not_before_s)
    assert again.public_jwk == key.public_jwk
    assert key.public_jwk["kid"] == key.kid
    assert len(key.kid) == 43


def test_no_kid_looks_like_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    kids = iter(["-one", "-two", "three"])
    monkeypatch.setattr("gateway.identity.signing.thumbprint", lambda jwk: next(kids))
    assert new_signing_key("EdDSA", 1).kid == "three"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_only_what_is_public_is_published(algorithm: SigningAlgorithm) -> None:
    assert set(new_signing_key(algorithm, 1).public_jwk) <= {
        "kty", "crv", "n", "e", "x", "y", "kid", "use", "alg",
    }  # fmt: skip


def test_the_kid_is_the_thumbprint() -> None:
    from joserfc.jwk import import_key

    for algorithm in ALGORITHMS:
        key = new_signing_key(algorithm, 1)
        assert import_key(key.public_jwk).thumbprint() == key.kid


@pytest.mark.parametrize(
    ("now_s", "signs", "published"),
    [
        (999, FIRST, [SECOND, FIRST]),  # a clock behind that of the host that made it
        (5000, FIRST, [SECOND, FIRST]),  # published, so that caches learn it
        (5599, FIRST, [SECOND, FIRST]),
        (5600, SECOND, [SECOND, FIRST]),  # overlap: what the first signed is still good
        (6529, SECOND, [SECOND, FIRST]),
        (6530, SECOND, [SECOND]),
    ],
)
def test_rotation_overlaps(now_s: int, signs: SigningKey, published: list[SigningKey]) -> None:
    assert RING.active(now_s) == signs
    assert RING.published(now_s) == published


def test_without_a_key_nothing_is_signed() -> None:
    with pytest.raises(LookupError):
        KeyRing([FIRST]).active(6530)


def test_the_secret_is_not_shown() -> None:
    assert "PRIVATE" not in repr(FIRST)
