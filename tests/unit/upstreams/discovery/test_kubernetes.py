"""Kubernetes as a source: list, watch, and all the ways in which a watch ends."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config.discovery import Kubernetes
from gateway.upstreams.discovery import kubernetes as module
from gateway.upstreams.discovery.kubernetes import KubernetesSource, cluster_address
from gateway.upstreams.discovery.source import SourceError
from tests.servers.certificate import make_certificate
from tests.servers.kubernetes_server import KubernetesServer, Pod, endpoint_slice
from tests.unit.upstreams.discovery.reading import Sets, first, opened


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesServer]:
    monkeypatch.setattr(module, "PAUSE_S", 0.02)
    running = KubernetesServer()
    running.put(endpoint_slice("web-a", Pod("10.0.0.1")))
    yield running
    running.close()


def source(server: KubernetesServer, **settings: Any) -> KubernetesSource:
    defaults = {"service": "web", "port": "http", "api_server": server.address}
    return KubernetesSource(Kubernetes.model_validate(defaults | settings))


def asked(server: KubernetesServer, key: str) -> list[str]:
    return [parameters.get(key, [""])[0] for _, parameters, _ in server.requests]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def next_size(sets: Sets) -> int:
    return len(await anext(sets))


async def test_it_lists_then_watches_from_that_version(server: KubernetesServer) -> None:
    server.put(endpoint_slice("other", Pod("10.1.1.1"), service="other"))
    async with opened(source(server, namespace="prod")) as sets:
        assert await next_size(sets) == 1
        waiting = asyncio.ensure_future(anext(sets))
        await until(lambda: server.streams)
        server.put(endpoint_slice("web-b", Pod("10.0.0.2")))
        assert len(await waiting) == 2
        server.remove("web-a")
        assert await next_size(sets) == 1
    paths = {path for path, _, _ in server.requests}
    assert paths == {"/apis/discovery.k8s.io/v1/namespaces/prod/endpointslices"}
    assert asked(server, "labelSelector") == ["kubernetes.io/service-name=web"] * 2
    assert asked(server, "resourceVersion") == ["", "102"]
    assert asked(server, "allowWatchBookmarks") == ["", "true"]


async def test_a_long_list_comes_in_pages(server: KubernetesServer) -> None:
    server.page = 1
    server.put(endpoint_slice("web-b", Pod("10.0.0.2")))
    server.put(endpoint_slice("web-c", Pod("10.0.0.3")))
    assert len(await first(source(server))) == 3
    assert asked(server, "continue") == ["", "1", "2"]


async def test_after_the_end_of_a_stream_it_goes_on_from_the_bookmark(
    server: KubernetesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WATCH_S", 1)
    async with opened(source(server)) as sets:
        await anext(sets)
        waiting = asyncio.ensure_future(anext(sets))
        await until(lambda: server.streams)
        server.bookmark()
        await waiting
        waiting = asyncio.ensure_future(anext(sets))
        await until(lambda: len(server.requests) == 3)
        server.put(endpoint_slice("web-b", Pod("10.0.0.2")))
        assert len(await waiting) == 2
    assert asked(server, "resourceVersion") == ["", "101", "111"]


async def test_a_cut_stream_is_taken_up_without_a_new_list(server: KubernetesServer) -> None:
    async with opened(source(server)) as sets:
        await anext(sets)
        waiting = asyncio.ensure_future(anext(sets))
        await until(lambda: server.streams)
        server.cut_streams()
        await until(lambda: len(server.requests) == 3)
        server.put(endpoint_slice("web-b", Pod("10.0.0.2")))
        assert len(await waiting) == 2
    assert asked(server, "watch") == ["", "1", "1"]


@pytest.mark.parametrize("gone_by_event", [False, True])
async def test_410_gone_asks_for_a_new_list(server: KubernetesServer, gone_by_event: bool) -> None:
    server.gone_by_event = gone_by_event
    async with opened(source(server)) as sets:
        await anext(sets)
        waiting = asyncio.ensure_future(anext(sets))
        await until(lambda: server.streams)
        server.compact()
        del server.slices["web-a"]
        server.slices["web-b"] = endpoint_slice("web-b", Pod("10.0.0.2"), Pod("10.0.0.3"))
        server.cut_streams()
        assert len(await waiting) == 2, "the deletion that it missed is in the list"
    assert asked(server, "watch") == ["", "1", "1", ""]


async def test_a_token_is_read_again_for_each_request(
    server: KubernetesServer, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    server.token = "first"
    async with opened(source(server, token_file=str(file))) as sets:
        await anext(sets)
        waiting = asyncio.ensure_future(anext(sets))
        await until(lambda: server.streams)
        file.write_text("second")
        server.token = "second"
        server.cut_streams()
        await until(lambda: len(server.requests) == 3)
        server.put(endpoint_slice("web-b", Pod("10.0.0.2")))
        assert len(await waiting) == 2
    server.token = "third"
    with pytest.raises(SourceError, match="answers 401"):
        await first(source(server, token_file=str(file)))


async def test_the_account_of_the_pod_is_for_its_own_cluster_alone(
    server: KubernetesServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("of the pod")
    monkeypatch.setattr(module, "ACCOUNT", tmp_path)
    await first(source(server))
    assert "authorization" not in server.requests[0][2]
    with pytest.raises(SourceError, match=r"cannot use the certificates in .*/ca\.crt"):
        await first(KubernetesSource(Kubernetes(service="web"), environ={}))


async def test_in_a_cluster_the_account_of_the_pod_is_all_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TLS with the cluster's own authority, which nobody else knows, and the pod's token."""
    tls = server_context(tmp_path)
    server = KubernetesServer(tls)
    server.token = "of the pod"
    server.put(endpoint_slice("web-a", Pod("10.0.0.1")))
    (tmp_path / "token").write_text("of the pod\n")
    monkeypatch.setattr(module, "ACCOUNT", tmp_path)
    host, _, port = server.address.removeprefix("https://").partition(":")
    environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    inside = KubernetesSource(Kubernetes(service="web"), environ)
    assert len(await first(inside)) == 1
    outside = Kubernetes.model_validate({"service": "web", "api_server": server.address})
    with pytest.raises(SourceError, match="certificate verify failed"):
        await first(KubernetesSource(outside))
    server.close()


def server_context(directory: Path) -> ssl.SSLContext:
    """What a server needs to use the certificate in ``ca.crt``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*make_certificate(directory))
    return context


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "https://kubernetes.default.svc:443"),
        (
            {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "6443"},
            "https://10.0.0.1:6443",
        ),
        ({"KUBERNETES_SERVICE_HOST": "fd00::1"}, "https://[fd00::1]:443"),
    ],
)
def test_the_api_server_of_this_cluster(environ: dict[str, str], expected: str) -> None:
    assert cluster_address(environ) == expected


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"[]", b'{"metadata": {}}', b'{"metadata": {"resourceVersion": "1"}, "items": 3}'],
)
async def test_nonsense_is_a_failure(server: KubernetesServer, body: bytes) -> None:
    server.fault = (200, body)
    with pytest.raises(SourceError, match=r"answers no JSON|unexpected answer"):
        await first(source(server))


async def test_an_error_in_the_stream_is_a_failure(server: KubernetesServer) -> None:
    async with opened(source(server)) as sets:
        await anext(sets)
        error = {"code": 500, "message": "etcd is tired"}
        server.events.append((10**6, {"type": "ERROR", "object": error | {"metadata": {
            "labels": {"kubernetes.io/service-name": "web"}}}}))  # fmt: skip
        with pytest.raises(SourceError, match="etcd is tired"):
            await anext(sets)
