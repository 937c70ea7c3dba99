"""The demo services as applications, without sockets."""

import httpx
import pytest
from starlette.types import ASGIApp

from gateway.demo.services import SERVICES


def client(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://demo")


@pytest.mark.parametrize("name", SERVICES)
async def test_every_service_has_health_and_echo(name: str) -> None:
    async with client(SERVICES[name]()) as http:
        assert (await http.get("/healthz")).json() == {"status": "ok", "service": name}
        echo = await http.put("/echo/a%20b?c=d", content=b"12345", headers={"X-Mine": "yes"})
    shown = echo.json()
    assert shown["method"] == "PUT"
    assert shown["path"] == "/echo/a b"
    assert shown["query"] == "c=d"
    assert shown["body_bytes"] == 5
    assert ["x-mine", "yes"] in shown["headers"]


async def test_reading() -> None:
    async with client(SERVICES["identity"]()) as http:
        assert len((await http.get("/users")).json()["users"]) == 2
        assert (await http.get("/users/1")).json()["name"] == "Ada"
        assert (await http.get("/users/9")).status_code == 404
        assert (await http.get("/me", headers={"x-user-id": "1"})).json() == {"userId": "1"}
    async with client(SERVICES["content"]()) as http:
        assert (await http.get("/courses/2")).json()["lessons"] == 8


async def test_an_order_and_its_payment() -> None:
    async with client(SERVICES["commerce"]()) as http:
        order = await http.post("/orders", json={"course": 1})
        assert order.status_code == 201
        assert (await http.post("/orders", json={"course": 7})).status_code == 422
        assert (await http.post("/orders", content=b"{")).status_code == 400
        assert (await http.post("/orders", content=b"[]")).status_code == 400
        assert (await http.post("/orders", content=b" " * 2_000_000)).status_code == 413
    async with client(SERVICES["payments"]()) as http:
        payment = await http.post("/payments", json={"order": order.json()["order"]})
        assert payment.json()["state"] == "settled"
        assert (await http.post("/payments", json={})).status_code == 422


async def test_events_come_as_a_stream() -> None:
    async with client(SERVICES["live-classes"]()) as http:
        response = await http.get("/classes/1/events?count=2")
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.text.count("\n\n") == 2
        assert (await http.get("/classes/1/events?count=0")).status_code == 400


async def test_a_video_has_the_size_that_was_asked_for() -> None:
    async with client(SERVICES["vod"]()) as http:
        assert len((await http.get("/videos/1/download?size=100001")).content) == 100_001
        assert (await http.get("/videos/1/download?size=x")).status_code == 400
