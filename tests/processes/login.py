"""A whole gateway with a store, a state and a user, as the tests of logins drive it."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from gateway.identity.passwords import Passwords
from gateway.store.store import Store
from tests.processes.instance import Instance, connection, eventually, fetch

Result = TypeVar("Result")

PASSWORD = "Correct-Horse-7!"
CONFIG = """\
server:
  http: 127.0.0.1:0
  admin: 127.0.0.1:0
  status: 127.0.0.1:0
  workers: 2
  run_dir: {run_dir}
  log: {{ access: off }}
store: {{ url: "{store}" }}
state: {{ url: "{state}", timeout: 1s }}
auth: {{ lockout: {{ delay_after: 100 }} }}
services:
  web: {{ endpoints: [ http://{upstream} ] }}
routes:
  - {{ path: "/open/{{path...}}", service: web, auth: none }}
  - {{ path: "/read/{{path...}}", service: web, scopes: [read] }}
  - {{ path: "/write/{{path...}}", service: web, scopes: [write] }}
"""


class Gateway(Instance):
    """An instance with its own configuration, and a user who may read."""

    def __init__(self, directory: Path, upstream: str, store: str, state: str) -> None:
        self.text = CONFIG.format(
            run_dir=directory / "run", store=store, state=state, upstream=upstream
        )
        self.store_url = store
        super().__init__(directory)

    def write_config(self, extra: str = "") -> None:
        self.config.write_text(self.text + extra)

    def in_store(self, change: Callable[[Store], Coroutine[Any, Any, Result]]) -> Result:
        """What an administrator does with the database, from another process."""

        async def run() -> Result:
            async with Store.open(self.store_url) as store:
                return await change(store)

        return asyncio.run(run())

    def begin(self) -> None:
        """Start it, and wait until it serves logins."""
        self.start(data_plane="real")
        jwks = "/.well-known/jwks.json"
        eventually(lambda: fetch(self.address("http"), jwks)[0] == 200, "logins are served")

    def post(
        self, path: str, body: Any = None, token: str | None = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        with connection(self.address("http")) as link:
            fields = {"content-type": "application/json", **headers}
            if token is not None:
                fields["authorization"] = f"Bearer {token}"
            link.request("POST", path, None if body is None else json.dumps(body), fields)
            response = link.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text else {}

    def login(self, **changes: Any) -> dict[str, Any]:
        status, answer = self.post(
            "/auth/login", {"email": "ann@example.org", "password": PASSWORD, **changes}
        )
        assert status == 200, answer
        return answer

    def call(self, token: str, path: str = "/read/x", **headers: str) -> tuple[int, dict[str, Any]]:
        status, _, body = fetch(
            self.address("http"), path, Authorization=f"Bearer {token}", **headers
        )
        return status, json.loads(body)


def until_refused(gateway: Gateway, token: str, within_s: float = 5.0) -> dict[str, Any]:
    begin = time.monotonic()
    while True:
        status, answer = gateway.call(token)
        if status == 401:
            return answer
        assert time.monotonic() - begin < within_s, "not refused in time"


async def add_ann(store: Store) -> str:
    passwords = Passwords()
    try:
        hashed = await passwords.hash(PASSWORD)
    finally:
        passwords.close()
    return (await store.users.create("ann@example.org", hashed, ["read"], datetime.now(UTC))).id
