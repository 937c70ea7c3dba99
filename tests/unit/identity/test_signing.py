from typing import get_args

import pytest

from gateway.identity.signing import KeyRing, SigningAlgorithm, SigningKey, new_signing_key

ALGORITHMS = get_args(SigningAlgorithm)
FIRST = new_signing_key("ES256", 1000)
SECOND = new_signing_key("ES256", 5000)
RING = KeyRing([SECOND, FIRST], publish_before_s=600, keep_s=930)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_survives_being_written(algorithm: SigningAlgorithm) -> None:
    key = new_signing_key(algorithm, 1)
    again = SigningKey(key.kid, key.algorithm, key.private_pem, key.created_s)
    assert again.public_jwk == key.public_jwk
    assert key.public_jwk["kid"] == key.kid
    assert len(key.kid) == 43


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


def test_the_first_key_signs_at_once() -> None:
    ring = KeyRing([FIRST], publish_before_s=600, keep_s=930)
    assert ring.active(1000) == FIRST
    assert ring.published(1000) == [FIRST]


@pytest.mark.parametrize(
    ("now_s", "signs", "published"),
    [
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


def test_a_key_is_published_as_long_as_something_it_signed_is_good() -> None:
    ring = KeyRing([new_signing_key("EdDSA", at) for at in (0, 700, 2500)], 600, 930)
    for now_s in range(0, 6000, 10):
        signed_by = ring.active(now_s)
        for later_s in range(now_s, now_s + 930, 10):
            assert signed_by in ring.published(later_s)
