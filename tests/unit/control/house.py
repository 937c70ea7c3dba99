"""The login endpoints on a real store, asked without a socket."""

import mmap
import time
from typing import Any

import httpx

from gateway._core import Segment
from gateway.config.auth import Auth
from gateway.control.login_app import LoginApp
from gateway.identity.own_keys import OwnKeys
from gateway.identity.providers import KeySets
from gateway.identity.revocation import Revoker
from gateway.identity.service import IdentityService, Parts, token_life_s
from gateway.state.local import LocalState
from gateway.store.errors import StoreUnavailable
from gateway.store.store import Store

PASSWORD = "Correct-Horse-7!"
ANN = {"email": "ann@example.org", "password": PASSWORD}
AUTH = {
    "issuer": "https://gateway.example",
    "signing": {"algorithm": "ES256"},  # quickly made
    "passwords": {"memory_kib": 4096, "passes": 2},
    "lockout": {"attempts": 6, "address_attempts": 20, "delay_after": 100},
}


class Clock:
    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class House:
    """The service and what it stands on."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.away = False
        self.clock = Clock()
        self.state = LocalState()
        self.segment = Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True)
        auth = Auth.model_validate(AUTH)
        self.revoker = Revoker(self.segment, self.state, lambda: token_life_s(auth), self.clock)
        self.keys = OwnKeys(self.get_store, self.clock)
        parts = Parts(
            self.get_store, self.state, self.segment, self.keys, KeySets(lambda: None),
            self.revoker, self.clock,
        )  # fmt: skip
        self.service = IdentityService(parts, auth, ["10.0.0.0/8"])
        self.app = LoginApp(lambda: self.service)
        transport = httpx.ASGITransport(self.app.asgi())
        self.client = httpx.AsyncClient(transport=transport, base_url="http://gateway")

    def get_store(self) -> Store:
        if self.away:
            raise StoreUnavailable("away")
        return self.store

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        fields.setdefault("x-forwarded-for", "192.0.2.1")
        return await self.client.post(f"/auth/{path}", json=body, headers=fields)

    async def login(self, **changes: Any) -> httpx.Response:
        return await self.post("login", ANN | changes)

    async def token(self) -> dict[str, Any]:
        answer = await self.login()
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]
