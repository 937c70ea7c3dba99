import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from gateway.identity.jwks import MAX_KEYS, parse_jwk_set, public_jwks, verification_keys
from tests.unit.identity.forge import EC_KEY, ED_KEY, OWN_KEY

RSA = OWN_KEY.public_jwk


def parse(*keys: Any) -> list[dict[str, Any]]:
    return parse_jwk_set(json.dumps({"keys": keys}).encode())


def test_usable_keys_are_kept() -> None:
    keys = parse(OWN_KEY.public_jwk, EC_KEY.public_jwk, ED_KEY.public_jwk)
    assert [key["kid"] for key in keys] == [OWN_KEY.kid, EC_KEY.kid, ED_KEY.kid]
    assert verification_keys(keys)[EC_KEY.kid].algorithms == {"ES256"}


def test_a_key_without_alg_has_the_algorithms_of_its_kind() -> None:
    without = {name: value for name, value in RSA.items() if name != "alg"}
    assert verification_keys([without])[OWN_KEY.kid].algorithms == {
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
    }  # fmt: skip


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"},
        RSA | {"use": "enc"},
        RSA | {"key_ops": ["encrypt"]},
        RSA | {"key_ops": "verify"},
        RSA | {"alg": "HS256"},
        RSA | {"alg": "ES256"},
        RSA | {"alg": "none"},
        RSA | {"alg": ["RS256"]},
        RSA | {"kid": 7},
        RSA | {"kty": ["RSA"]},
        RSA | {"crv": "P-256"},
        RSA | {"n": "!"},
        RSA | {"n": 5},
        {name: value for name, value in RSA.items() if name != "e"},
        EC_KEY.public_jwk | {"crv": "secp256k1"},
        EC_KEY.public_jwk | {"x": "AAAA"},
        EC_KEY.public_jwk | {"y": "A" * 43},
        ED_KEY.public_jwk | {"x": "AAAA"},
        ED_KEY.public_jwk | {"crv": "X25519"},
        {},
        [],
        "key",
        None,
    ],
)
def test_others_are_left_out(key: Any) -> None:
    assert parse(key, EC_KEY.public_jwk) == public_jwks([EC_KEY.public_jwk])


@pytest.mark.parametrize("bits", [1024, 2047, 8200, 16384])
def test_rsa_keys_of_odd_sizes_are_left_out(bits: int) -> None:
    key = rsa.RSAPublicNumbers(65537, (1 << bits - 1) + 1).public_key()
    assert parse(json.loads(RSAAlgorithm.to_jwk(key))) == []


def test_private_parts_do_not_travel() -> None:
    private = json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1())))
    assert "d" in private
    (kept,) = parse(private)
    assert "d" not in kept


def test_the_first_of_two_with_one_kid_counts() -> None:
    other = ED_KEY.public_jwk | {"kid": EC_KEY.kid}
    assert parse(EC_KEY.public_jwk, other) == public_jwks([EC_KEY.public_jwk])


@pytest.mark.parametrize(
    "document",
    [b"", b"{}", b"[]", b'{"keys":{}}', b'{"keys":[],"keys":[]}', b'{"keys":[' + b"[" * 5000],
)
def test_what_is_no_set(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_jwk_set(document)


def test_too_many_keys() -> None:
    with pytest.raises(ValueError, match="64"):
        parse(*[{}] * (MAX_KEYS + 1))


_MEMBER = st.sampled_from(["kty", "crv", "n", "e", "x", "y", "kid", "alg", "use", "key_ops", "d"])
_VALUE = st.none() | st.integers() | st.text() | st.lists(st.text(), max_size=2)


@given(
    st.sampled_from([RSA, EC_KEY.public_jwk, ED_KEY.public_jwk]), st.dictionaries(_MEMBER, _VALUE)
)
def test_any_members(key: dict[str, Any], changes: dict[str, Any]) -> None:
    kept = public_jwks([key | changes])
    assert len(verification_keys(kept)) == len(kept)
