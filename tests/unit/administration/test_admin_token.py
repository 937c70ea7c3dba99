"""Tokens of the admin API."""

from gateway.administration.admin_token import digest_of, new_admin_token


def test_each_token_is_another() -> None:
    one, two = new_admin_token(), new_admin_token()
    assert one.text != two.text
    assert one.text.startswith(f"gwa_{one.id}_")
    assert len(one.text) > 50
    assert one.digest == digest_of(one.text)
    assert len(one.digest) == 32


def test_a_token_is_not_shown_by_accident() -> None:
    token = new_admin_token()
    assert token.text not in repr(token)
    assert "digest" not in repr(token)
