from urllib.parse import parse_qs, unquote, urlsplit

import pyotp
import pytest

from gateway.identity.mfa import (
    accepted_step,
    new_recovery_codes,
    new_secret,
    provisioning_uri,
    recovery_digest,
)

NOW = 1_800_000_000
STEP = NOW // 30


def code_at(secret: str, step: int) -> str:
    return pyotp.TOTP(secret).generate_otp(step)


def test_the_uri_is_what_apps_read() -> None:
    secret = new_secret()
    parts = urlsplit(provisioning_uri(secret, "ann@example.org", "Example"))
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert parse_qs(parts.query) == {"secret": [secret], "issuer": ["Example"]}
    assert parts.path == "/Example:ann%40example.org"
    assert len(secret) == 32


@pytest.mark.parametrize(
    ("issuer", "shown"),
    [
        ("https://login.example.org", "login.example.org"),
        ("http://127.0.0.1:8000", "127.0.0.1"),
        ("http://[::1]:8000/a", "--1"),
        ("urn:example:gateway", "urn-example-gateway"),
        ("a.example.org", "a.example.org"),
        ("http://[::1", "http-//[--1"),
    ],
)
def test_the_label_holds_one_colon(issuer: str, shown: str) -> None:
    parts = urlsplit(provisioning_uri(new_secret(), "ann@example.org", issuer))
    assert unquote(parts.path) == f"/{shown}:ann@example.org"
    assert parse_qs(parts.query)["issuer"] == [shown]


def test_rfc_6238_vector() -> None:
    """Appendix B, SHA-1, the last six digits."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert accepted_step(secret, "081804", 1111111109, 0) == 1111111109 // 30


@pytest.mark.parametrize(
    ("drift", "accepted"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_a_clock_may_be_a_step_off(drift: int, accepted: bool) -> None:
    secret = new_secret()
    step = accepted_step(secret, code_at(secret, STEP + drift), NOW, 0)
    assert step == (STEP + drift if accepted else None)


def test_a_code_is_good_once() -> None:
    secret = new_secret()
    code = code_at(secret, STEP)
    step = accepted_step(secret, code, NOW, 0)
    assert step == STEP
    assert accepted_step(secret, code, NOW, step) is None
    assert accepted_step(secret, code_at(secret, STEP - 1), NOW, step) is None
    assert accepted_step(secret, code_at(secret, STEP + 1), NOW, step) == STEP + 1


@pytest.mark.parametrize(
    "code", ["", "12345", "1234567", "12345a", "١٢٣٤٥٦", "123456\n", " 123456"]
)
def test_what_is_no_code(code: str) -> None:
    assert accepted_step(new_secret(), code, NOW, 0) is None


def test_recovery_codes() -> None:
    codes = new_recovery_codes()
    assert len(set(codes.texts)) == len(set(codes.digests)) == 10
    for text, digest in zip(codes.texts, codes.digests, strict=True):
        assert recovery_digest(text) == digest
        assert recovery_digest(f" {text.upper().replace('-', '')} ") == digest
    assert recovery_digest("abcd-efgh") is None
    assert recovery_digest("") is None
