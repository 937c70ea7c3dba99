import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.caller import Caller
from gateway.identity.reasons import CODES
from gateway.identity.verifier import Rejected
from tests.unit.identity.forge import (
    EC_KEY,
    ED_KEY,
    NOW,
    OWN,
    OWN_KEY,
    STRANGER,
    foreign_claims,
    foreign_token,
    make_verifier,
    own_claims,
    own_token,
    part,
    sign,
    sign_hmac,
)

VERIFIER = make_verifier()
HEADER = {"alg": "RS256", "kid": OWN_KEY.kid, "typ": "at+jwt"}


def reason(token: bytes, now_s: int = NOW) -> str:
    found = VERIFIER.verify(token, now_s)
    assert isinstance(found, Rejected), found
    assert CODES[found.reason]
    return found.reason


def caller(token: bytes, now_s: int = NOW) -> Caller:
    found = VERIFIER.verify(token, now_s)
    assert isinstance(found, Caller), found
    return found


def test_our_own_token() -> None:
    found = caller(own_token())
    assert (found.user, found.session, found.client, found.key) == ("u-1", "s-1", "", "")
    assert (found.issued_s, found.expires_s) == (NOW - 60, NOW + 840)
    assert found.scopes == {"read"}
    assert found.issuer == "gateway"
    assert found.claims["jti"] == "j-1"


@pytest.mark.parametrize("key", [EC_KEY, ED_KEY], ids=["ES256", "EdDSA"])
@pytest.mark.parametrize("type_", [None, "JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_a_token_of_another_issuer(key: Any, type_: str | None) -> None:
    header = {"alg": key.algorithm, "kid": key.kid} | ({"typ": type_} if type_ else {})
    found = caller(sign(header, foreign_claims(scope="read write", azp="app"), key))
    assert (found.user, found.client, found.issuer) == ("alice", "app", "idp")
    assert found.scopes == {"read", "write"}


# Rows 40 to 42 and 45 of the list of attacks: the header ----------------------------------------


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "nOnE", "", "HS256", "RS384", "PS256"]
)
def test_no_other_algorithm(algorithm: str) -> None:
    assert reason(own_token(header={"alg": algorithm})) == "token_algorithm"


@pytest.mark.parametrize("value", [None, 1, ["RS256"], {"RS256": 1}, True])
def test_the_algorithm_is_text(value: Any) -> None:
    assert reason(own_token(header={"alg": value})) == "token_header"


def test_unsigned() -> None:
    unsigned = f"{part(HEADER | {'alg': 'none'})}.{part(own_claims())}."
    assert reason(unsigned.encode()) == "token_malformed"
    assert reason(unsigned[:-1].encode()) == "token_malformed"
    assert reason(f"{unsigned}AA".encode()) == "token_algorithm"


def test_public_key_as_hmac_secret() -> None:
    public = OWN_KEY.private_key.public_key()
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    secrets = [public.public_bytes(e, info) for e in (
        serialization.Encoding.PEM, serialization.Encoding.DER)]  # fmt: skip
    secrets += [secrets[0].rstrip(), json.dumps(OWN_KEY.public_jwk).encode(), b""]
    for secret in secrets:
        for algorithm in ("HS256", "HS384", "hs256", "RS256"):
            token = sign_hmac(HEADER | {"alg": algorithm}, own_claims(), secret)
            assert reason(token) in ("token_algorithm", "token_signature")


def test_a_key_is_used_with_its_own_algorithm_alone() -> None:
    header = {"alg": "EdDSA", "kid": EC_KEY.kid}
    assert reason(sign(header, foreign_claims(), EC_KEY)) == "token_algorithm"
    assert reason(sign(header, foreign_claims(), ED_KEY)) == "token_algorithm"


def test_keys_that_a_token_brings_along_are_not_looked_at() -> None:
    for name in ("jwk", "jku", "x5u", "x5c"):
        value = {"jwk": STRANGER.public_jwk, "x5c": ["MIIB"]}.get(name, "http://127.0.0.1:9/keys")
        header = HEADER | {name: value}
        assert reason(sign(header, own_claims(), STRANGER)) == "token_signature"
        assert reason(sign(header | {"kid": STRANGER.kid}, own_claims(), STRANGER)) == (
            "token_key_unknown"
        )
        caller(sign(header, own_claims(), OWN_KEY))


@pytest.mark.parametrize(
    "members",
    [{"crit": ["exp"]}, {"crit": []}, {"crit": None}, {"crit": ["b64"], "b64": False},
     {"b64": False}, {"b64": True}],
)  # fmt: skip
def test_critical_extensions(members: dict[str, Any]) -> None:
    assert reason(sign(HEADER | members, own_claims(), OWN_KEY)) == "token_header"


# Row 44: kid ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kid",
    ["../../etc/passwd", "' OR 1=1 --", "a\0b", OWN_KEY.kid + " ", "k" * 256, "é"],
    ids=["path", "sql", "nul", "blank", "long", "letter"],
)
def test_a_kid_is_only_looked_up(kid: str) -> None:
    assert reason(own_token(header={"kid": kid})) == "token_key_unknown"


@pytest.mark.parametrize("kid", ["", "k" * 257, 1, ["a"], {"a": 1}, False])
def test_a_kid_is_short_text(kid: Any) -> None:
    assert reason(own_token(header={"kid": kid})) == "token_header"


def test_a_megabyte_of_kid_costs_nothing() -> None:
    token = own_token(header={"kid": "k" * 1_000_000})
    begin = time.process_time()
    assert reason(token) == "token_too_large"
    assert time.process_time() - begin < 0.05


def test_no_kid_means_the_key_without_kid() -> None:
    token = own_token(header={"kid": None})
    assert reason(token) == "token_key_unknown"
    other = make_verifier()
    other.set_keys("gateway", [{k: v for k, v in OWN_KEY.public_jwk.items() if k != "kid"}])
    assert isinstance(other.verify(token, NOW), Caller)
    assert isinstance(other.verify(own_token(), NOW), Rejected)


# typ: one signed document is not another --------------------------------------------------------


@pytest.mark.parametrize("type_", [None, "JWT", "jwt", "logout+jwt", "dpop+jwt", "", "at+jwt "])
def test_ours_have_our_type(type_: str | None) -> None:
    assert reason(own_token(header={"typ": type_})) == "token_type"


@pytest.mark.parametrize("type_", ["logout+jwt", "dpop+jwt", "secevent+jwt", "JWE", "at+jwt\n"])
def test_other_documents_of_other_issuers(type_: str) -> None:
    header = {"alg": "ES256", "kid": EC_KEY.kid, "typ": type_}
    assert reason(sign(header, foreign_claims(), EC_KEY)) == "token_type"


# Row 47: claims ---------------------------------------------------------------------------------

NO_TIMES = ["1800000000", 1.8e9, 1800000000.5, -1, 1e308, 1 << 53, True, None, [NOW], {"a": 1}]


@pytest.mark.parametrize("value", NO_TIMES)
@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_times_are_whole_seconds(name: str, value: Any) -> None:
    claims = own_claims() | {name: value}
    assert reason(sign(HEADER, claims, OWN_KEY)) == "token_claims"


@pytest.mark.parametrize("name", ["exp", "iat"])
def test_required_times(name: str) -> None:
    assert reason(sign(HEADER, own_claims(**{name: None}), OWN_KEY)) == "token_claims"


def test_nbf_may_be_missing() -> None:
    assert caller(foreign_token(nbf=None)).user == "alice"


def test_skew_is_the_bound() -> None:
    token = own_token()
    caller(token, NOW + 840 + 29)
    assert reason(token, NOW + 840 + 30) == "token_expired"
    caller(token, NOW - 60 - 30)
    assert reason(token, NOW - 60 - 31) == "token_not_yet_valid"
    assert reason(own_token(iat=NOW + 31)) == "token_not_yet_valid"
    assert reason(own_token(nbf=NOW + 31)) == "token_not_yet_valid"


@pytest.mark.parametrize(
    "audience",
    [None, "", "apis", "API", "ap", ["other"], [], [["api"]], [1, "api"], {"api": 1}, 1],
)  # fmt: skip
def test_the_audience_is_exact(audience: Any) -> None:
    assert reason(own_token(aud=audience)) == "token_audience"


def test_one_of_several_audiences() -> None:
    assert caller(own_token(aud=["other", "api"])).user == "u-1"


@pytest.mark.parametrize(
    "issuer",
    [None, "", OWN + "/", OWN[:-1], OWN.upper(), [OWN], {"a": OWN}, 1, "https://evil.example"],
)
def test_the_issuer_is_exact(issuer: Any) -> None:
    assert reason(own_token(iss=issuer)) == "token_issuer"


def test_a_key_of_one_issuer_does_not_speak_for_another() -> None:
    header = {"alg": "ES256", "kid": EC_KEY.kid, "typ": "at+jwt"}
    assert reason(sign(header, own_claims(), EC_KEY)) == "token_algorithm"
    assert reason(own_token(iss="https://idp.example")) == "token_algorithm"


@pytest.mark.parametrize("value", ["", "a b", "a\r\nX-Admin: 1", "ü", "u" * 256, 1, ["u"], None])
def test_names_are_fit_for_a_field(value: Any) -> None:
    claims = own_claims() | {"sub": value}
    assert reason(sign(HEADER, claims, OWN_KEY)) == "token_claims"


@pytest.mark.parametrize(
    "scope",
    [1, {"a": 1}, [1], [["read"]], "read  write", " read", "a\nb", 'a"b', ["a b"], ["x"] * 257],
)
def test_scopes_are_scopes(scope: Any) -> None:
    assert reason(own_token(scope=scope)) == "token_claims"


@pytest.mark.parametrize(("scope", "expected"), [("", set()), ([], set()), ("a:*", {"a:*"})])
def test_scopes(scope: Any, expected: set[str]) -> None:
    assert caller(own_token(scope=scope)).scopes == expected


def test_ours_belong_to_a_session() -> None:
    assert reason(own_token(sessionId=None)) == "token_claims"


# Rows 46, 48, 49: forms -------------------------------------------------------------------------


def test_every_changed_character_is_refused() -> None:
    """No second spelling of a token: a cache or a deny-list would not know it."""
    token = own_token()
    for place in range(len(token)):
        for other in b"A_.=":
            changed = token[:place] + bytes([other]) + token[place + 1 :]
            if changed != token:
                assert reason(changed)


@pytest.mark.parametrize("suffix", [b"=", b"==", b".", b" ", b"\n", b"A", b".AAAA", b".AAAA.AAAA"])
def test_nothing_follows(suffix: bytes) -> None:
    assert reason(own_token() + suffix) in ("token_malformed", "token_signature")
    assert reason(suffix + own_token()) == "token_malformed" or suffix in (b"A",)


@pytest.mark.parametrize(
    "text",
    ['{"alg":"RS256","alg":"none"}', '{"alg":"RS256","kid":"a","kid":"b"}', "[]", "1", "null",
     '"RS256"', "{", "", "{}x", "\ufeff{}", '{"a":NaN}', '{"a":Infinity}',
     '{"a":1' + "0" * 20 + "}",
     '{"a":' + "[" * 2000 + "]" * 2000 + "}"],
)  # fmt: skip
def test_header_and_claims_are_strict_json(text: str) -> None:
    assert reason(sign(text, own_claims(), OWN_KEY)) in ("token_malformed", "token_header")
    assert reason(sign(HEADER, text, OWN_KEY)) in ("token_malformed", "token_issuer")


def test_header_in_another_encoding() -> None:
    utf16 = json.dumps(HEADER).encode("utf-16")
    token = f"{part(utf16)}.{part(own_claims())}.AAAA"
    assert reason(token.encode()) == "token_malformed"


ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.mark.parametrize(
    "signature",
    [b"", b"\0" * 64, b"\0" * 63 + b"\1", b"\0" * 63, b"\0" * 65, b"\xff" * 64, b"\1",
     ORDER.to_bytes(32) * 2, b"\0" * 32 + ORDER.to_bytes(32), b"\x30\x06\x02\x01\x01\x02\x01\x01"],
)  # fmt: skip
def test_degenerate_ecdsa_signatures(signature: bytes) -> None:
    head = f"{part({'alg': 'ES256', 'kid': EC_KEY.kid})}.{part(foreign_claims())}"
    assert reason(f"{head}.{part(signature)}".encode()) in ("token_malformed", "token_signature")


def test_an_ecdsa_signature_in_der_is_refused() -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    head = f"{part({'alg': 'ES256', 'kid': EC_KEY.kid})}.{part(foreign_claims())}"
    der = EC_KEY.private_key.sign(head.encode(), ec.ECDSA(hashes.SHA256()))
    assert reason(f"{head}.{part(der)}".encode()) == "token_signature"


@pytest.mark.parametrize("length", [0, 1, 255, 257, 512])
def test_degenerate_rsa_signatures(length: int) -> None:
    head = f"{part(HEADER)}.{part(own_claims())}"
    for fill in (b"\0", b"\1", b"\xff"):
        token = f"{head}.{part(fill * length)}".encode()
        assert reason(token) in ("token_malformed", "token_signature")


def test_a_large_token_is_refused_before_it_is_read() -> None:
    token = own_token(junk="x" * 48_000)
    assert len(token) > 60_000
    begin = time.process_time()
    assert reason(token) == "token_too_large"
    assert time.process_time() - begin < 0.05


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    assert reason(data)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_HEADER_NAMES = st.sampled_from(["alg", "kid", "typ", "crit", "jwk", "b64", "zip"])
_CLAIM_NAMES = st.sampled_from(["iss", "aud", "exp", "nbf", "iat", "sub", "scope", "sessionId"])


@given(st.dictionaries(_HEADER_NAMES, _JSON), st.dictionaries(_CLAIM_NAMES, _JSON))
def test_any_header_and_claims_with_a_good_signature(
    header: dict[str, Any], claims: dict[str, Any]
) -> None:
    """Nothing raises, and what is accepted has the types that it promises."""
    found = VERIFIER.verify(sign(HEADER | header, own_claims() | claims, OWN_KEY), NOW)
    if isinstance(found, Caller):
        assert found.user.isascii()
        assert found.user.isprintable()
        assert all(type(t) is int for t in (found.expires_s, found.issued_s))
