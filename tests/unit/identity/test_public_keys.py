from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.identity.public_keys import PUBLIC_KEYS_FILE, KeptKeys, PublishedKey
from gateway.identity.signing import SigningAlgorithm, new_signing_key

URL = "postgresql://user:hunter2@db/x"
ALGORITHMS: tuple[SigningAlgorithm, ...] = ("RS256", "ES256", "EdDSA")
KEYS = [PublishedKey(new_signing_key(name, 0).public_jwk, end)
        for name, end in zip(ALGORITHMS, (None, 1_800_000_000, None), strict=True)]  # fmt: skip


def test_what_was_written_is_read(tmp_path: Path) -> None:
    kept = KeptKeys(tmp_path, URL)
    assert kept.read() == []
    kept.write(KEYS)
    assert KeptKeys(tmp_path, URL).read() == KEYS
    content = (tmp_path / PUBLIC_KEYS_FILE).read_bytes()
    assert b"hunter2" not in content
    assert b'"d"' not in content


def test_the_keys_of_another_store_are_not_ours(tmp_path: Path) -> None:
    KeptKeys(tmp_path, URL).write(KEYS)
    assert KeptKeys(tmp_path, "sqlite:///gateway.db").read() == []


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def apply(content: bytes) -> bytes:
        kept = orjson.loads(content)
        change(kept)
        return orjson.dumps(kept)

    return apply


def other_kid(kept: dict[str, Any]) -> None:
    kept["keys"][0]["jwk"]["kid"] = kept["keys"][1]["jwk"]["kid"]


def other_key(kept: dict[str, Any]) -> None:
    kept["keys"][0]["jwk"]["n"] = new_signing_key("RS256", 0).public_jwk["n"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[:-5],
        lambda content: b"",
        lambda content: b"[]",
        lambda content: content.replace(b'"RS256"', b'"HS256"'),
        changed(lambda kept: kept.pop("keys")),
        changed(lambda kept: kept.update(more=1)),
        changed(lambda kept: kept.update(keys={})),
        changed(lambda kept: kept["keys"].append({"kty": "oct", "k": "AA"})),
        changed(lambda kept: kept["keys"].append({"jwk": {"kty": "oct"}, "retire_s": None})),
        changed(lambda kept: kept["keys"].append("key")),
        changed(lambda kept: kept["keys"][0].update(retire_s="never")),
        changed(lambda kept: kept["keys"][0].update(jwk=[])),
        changed(other_kid),
        changed(other_key),
    ],
)
def test_one_spoilt_key_is_no_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[bytes], bytes]
) -> None:
    kept = KeptKeys(tmp_path, URL)
    kept.write(KEYS)
    file = tmp_path / PUBLIC_KEYS_FILE
    file.write_bytes(spoil(file.read_bytes()))
    assert kept.read() == []
    assert "cannot be used" in caplog.text


def test_a_file_that_others_may_write_to_is_not_believed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = KeptKeys(tmp_path, URL)
    kept.write(KEYS)
    (tmp_path / PUBLIC_KEYS_FILE).chmod(0o666)
    assert kept.read() == []
    assert "can be written by others" in caplog.text


def test_what_cannot_be_written_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    KeptKeys(tmp_path / "none", URL).write(KEYS)
    assert "cannot keep the public keys" in caplog.text
