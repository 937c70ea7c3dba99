"""The ``store`` section."""

import pytest
from pydantic import ValidationError

from gateway.config.schema import Config
from gateway.config.store import Store, masked_url, parse_store_url


def test_the_default_is_a_file_beside_the_gateway() -> None:
    assert Config().store.url == "sqlite:///gateway.db"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///gateway.db",
        "sqlite:////var/lib/gateway.db",
        "postgresql://user:pass@db.example.org:5432/gateway",
        "postgres://db/gateway?sslmode=require",
        "postgresql:///gateway?host=/run/postgresql",
    ],
)
def test_good_urls_stay_as_they_are(url: str) -> None:
    assert Store(url=url).url == url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://user:hunter2@db/x", "must be sqlite:///FILE or postgresql://"),
        ("gateway.db", "must be sqlite:///FILE or postgresql://"),
        (7, "must be sqlite:///FILE or postgresql://"),
        ("postgresql+asyncpg://user:hunter2@db/x", "leave the driver out"),
        ("postgresql://user:hunter2@db", "needs the name of a database"),
        ("postgresql://user:hunter2@db:port/x", "this is no URL"),
        ("postgresql://[::1/x", "this is no URL"),
        ("sqlite://gateway.db", "three slashes"),
        ("sqlite:///", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite:///a.db?mode=ro", "no query"),
    ],
)
def test_bad_urls_are_explained_without_their_password(url: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_store_url(url)
    with pytest.raises(ValidationError) as caught:
        Store.model_validate({"url": url})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://user:p@ss@db/x?password=p@ss", "postgresql://user:***@db/x"),
        ("postgresql://user@db:5/x", "postgresql://user@db:5/x"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
        ("sqlite:///b.db", "sqlite:///b.db"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    assert masked_url(url) == shown
    assert Store(url=url).model_dump(mode="json") == {"url": shown}
