"""The admin API on a real store, with an instance that reloads in place."""

import asyncio
import contextlib
import itertools
import mmap
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway._core import Segment
from gateway.control.admin.app import admin_app
from gateway.control.publication import Publication
from gateway.control.publish import ConfigSource, publish
from gateway.control.store_link import StoreLink
from gateway.listener import Listener
from gateway.upstreams.discovery.watch import Report
from tests.servers.plans import Lengths
from tests.servers.postgres import PostgresServer

TEXT = """\
auth: { signing: { algorithm: ES256 }, passwords: { memory_kib: 64, passes: 1, digit: false } }
services: { web: { endpoints: [ http://127.0.0.1:9 ] } }
routes:
  - { path: /a, service: web }
  - { path: /b, service: web, name: b }
"""
WEB = {"endpoints": ["http://127.0.0.1:9"]}


class FakeInstance:
    """Reloads as the supervisor would, if there were workers."""

    def __init__(self, source: ConfigSource, link: StoreLink) -> None:
        self.source = source
        self.link = link
        self.generations = itertools.count(1)
        self.publication: Publication = self.published()
        self.segment = Segment(mmap.mmap(-1, Segment.size_for(1)), 1, create=True)
        self.refuses: list[str] = []
        self.is_silent = False

    def discovered(self) -> list[Report]:
        return [Report("web", "dns A web", "ok", (), time.monotonic(), 2)]

    def services(self) -> list[dict[str, Any]]:
        return [{"name": "web", "breaker": None, "endpoints": []}]

    def published(self) -> Publication:
        return publish(
            self.source.load(), Lengths(), next(self.generations), None, self.link.stored
        )

    async def reload(self) -> dict[str, Any]:
        if self.is_silent:
            raise TimeoutError
        if self.refuses:
            return {"ok": False, "problems": self.refuses, "generation": 1}
        self.publication = self.published()
        return {"ok": True, "problems": [], "generation": self.publication.generation}


class Admin:
    """A client with a token, and what is behind the API."""

    def __init__(self, directory: Path, url: str) -> None:
        self.file = directory / "gateway.yaml"
        self.file.write_text(TEXT)
        self.tokens: list[str] = []
        self.decided: list[int] = []
        source = ConfigSource(self.file)
        self.link = StoreLink(url, directory, lambda: None, self.tokens.append)
        self.instance = FakeInstance(source, self.link)
        listener = Listener("server.admin", [], "127.0.0.1", 8001)
        app = admin_app(self.instance, listener, self.link, source, self.decided.append)  # type: ignore[arg-type]
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

    async def call(
        self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str
    ) -> httpx.Response:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        fields.setdefault("authorization", f"Bearer {token or self.tokens[0]}")
        path = path if path.startswith("/openapi") else f"/api/v1{path}"
        return await self.http.request(method, path, json=body, headers=fields)

    async def made(self, path: str, body: Any) -> dict[str, Any]:
        answer = await self.call("POST", path, body)
        assert answer.status_code in (200, 201), answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def token_with(self, role: str, **more: str) -> str:
        made = await self.made("/admin-tokens", {"name": role, "role": role, **more})
        return str(made["token"])

    async def actions(self) -> list[tuple[str, str]]:
        entries = (await self.call("GET", "/audit")).json()["items"]
        return [(entry["action"], entry["subject"]) for entry in reversed(entries)]


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    async with running(Admin(tmp_path, f"sqlite:///{tmp_path}/gateway.db")) as made:
        yield made


@pytest.fixture
async def admin_on_postgres(
    tmp_path: Path, postgres_server: PostgresServer
) -> AsyncIterator[Admin]:
    async with running(Admin(tmp_path, postgres_server.database())) as made:
        yield made


@contextlib.asynccontextmanager
async def running(made: Admin) -> AsyncIterator[Admin]:
    following = asyncio.create_task(made.link.run())
    async with asyncio.timeout(20):
        while not made.link.available:
            await asyncio.sleep(0.01)
    yield made
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]
