"""Log files while an instance runs."""

import json
import signal
from collections.abc import Callable
from datetime import UTC, datetime

from gateway.store.store import Store
from tests.processes.instance import Instance, eventually, fetch
from tests.processes.login import PASSWORD, Gateway, add_ann


def test_the_access_log_is_reopened_on_usr1(make_instance: Callable[..., Instance]) -> None:
    instance = make_instance()
    file = instance.directory / "access.log"
    instance.settings["access_log"] = str(file)
    instance.write_config()
    instance.start()
    fetch(instance.address("http"), "/before")
    eventually(lambda: "/before" in file.read_text(), "the first line")
    rotated = file.rename(instance.directory / "access.log.1")
    instance.signal(signal.SIGUSR1)
    eventually(file.exists, "a new file")

    def lands() -> bool:
        fetch(instance.address("http"), "/after")
        return "/after" in file.read_text()

    eventually(lands, "a line in the new file")
    assert "/before" in rotated.read_text()


def test_the_log_is_json_with_process_and_time(instance: Instance) -> None:
    lines = [json.loads(line) for line in instance.log().splitlines()]
    assert lines[0]["message"] == "gateway starts"
    assert lines[0]["process"] == "supervisor"
    assert lines[0]["time"].endswith("Z")
    assert lines[0]["pid"] == instance.pid


def test_no_credential_is_in_a_log_however_much_it_says(
    make_gateway: Callable[..., Gateway],
) -> None:
    """At a first start, when the private key is made and stored, and while somebody logs in."""
    gateway = make_gateway()
    gateway.text = gateway.text.replace("log: {", "log: { level: debug,")
    gateway.write_config()
    gateway.in_store(add_ann)
    gateway.begin()
    gateway.post("/auth/login", {"email": "ann@example.org", "password": "Wrong-Horse-8?"})
    tokens = gateway.login()
    fresh = gateway.post("/auth/refresh", {"refreshToken": tokens["refreshToken"]})[1]
    assert gateway.call(fresh["accessToken"])[0] == 200

    async def secrets(store: Store) -> list[str]:
        user = await store.users.by_email("ann@example.org")
        assert user is not None
        keys = [
            key.private_pem.splitlines()[1]
            for key in await store.signing_keys.all_valid(datetime.now(UTC))
        ]
        return [user.password_hash, "ann@example.org", *keys]

    gateway.end()
    log = gateway.log()
    for secret in (*gateway.in_store(secrets), PASSWORD, "Wrong-Horse-8?", "PRIVATE KEY", "$argon2",
                   *(text for texts in (tokens, fresh) for text in texts.values()
                     if isinstance(text, str) and text != "Bearer")):  # fmt: skip
        assert secret not in log
