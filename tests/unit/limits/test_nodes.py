"""gateway/limits/nodes.py: a server, a cluster, Sentinel, TLS."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from gateway.cext.lane import number_of_lane
from gateway.limits.store import LimitStore
from tests.servers.certificate import make_certificate
from tests.servers.redis import RedisServer, free_port
from tests.servers.redis_modes import Sentinel, start_cluster, start_cluster_of, start_tls
from tests.unit.limits.stores import ask, ask_all, bucket, new_store, seen_by, until


async def test_a_cluster_has_a_lane_for_each_tag(tmp_path: Path) -> None:
    node = start_cluster(tmp_path)
    try:
        store = new_store(f"redis+cluster://127.0.0.1:{node.port}")
        terms = bucket(3, 3_600_000)
        keys = [f"rate_limit:user:{number}:p" for number in range(40)]
        answers = await asyncio.gather(*(ask(store, terms, key=key) for key in keys * 4))
        assert [answer.allowed for answer in answers] == [1] * 120 + [0] * 40
        async with Redis(host="127.0.0.1", port=node.port, decode_responses=True) as client:
            found = set(await client.keys("rate_limit:user:*"))
        assert found == {f"{key}:{{{number_of_lane(key, 16)}}}" for key in keys}
        await store.close()
    finally:
        node.close()


async def test_a_node_that_dies_takes_no_other_keys_along(tmp_path: Path) -> None:
    nodes = start_cluster_of(2, tmp_path)
    try:
        store = new_store(f"redis+cluster://127.0.0.1:{nodes[0].port}", "50ms")
        terms = bucket(100, 3_600_000)
        keys = [f"rate_limit:user:{number}:p" for number in range(100)]
        await until(lambda: all(dispatcher.link for dispatcher in store._dispatchers))
        await asyncio.gather(*(ask(store, terms, key=key) for key in keys))
        nodes[1].kill()
        await asyncio.sleep(0.1)
        answers = await asyncio.gather(*(ask_all(store, [(key, terms, 1, 1)]) for key in keys))
        lost = sum(answer is None for answer in answers)
        assert 20 < lost < 80, "those of the dead node, and no others"
        assert not store.away
        assert seen_by(store).states[-1][:2] == (False, False)
        await asyncio.to_thread(nodes[1].start)
        # A node that starts writes after two seconds.
        await until(lambda: not any(lane.away for lane in store.lanes), 20)
        await store.close()
    finally:
        for node in nodes:
            node.close()


async def test_tls_an_account_and_a_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_store: Callable[..., LimitStore]
) -> None:
    certificate, key = make_certificate(tmp_path)
    server, url = start_tls(tmp_path, certificate, key)
    try:
        stranger = make_store(url=url)
        await asyncio.sleep(0.2)
        assert stranger.away or stranger._dispatchers[0].link is None, "nobody knows its signer"
        await stranger.close()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        store = make_store(url=url)
        assert [(await ask(store, bucket(2))).allowed for _ in range(3)] == [1, 1, 0]
        await store.close()
    finally:
        server.close()


async def test_sentinel_names_the_primary(redis: RedisServer, tmp_path: Path) -> None:
    sentinel = Sentinel(tmp_path, redis)
    try:
        store = new_store(f"redis+sentinel://127.0.0.1:{sentinel.port}/primary")
        assert (await ask(store, bucket())).remaining == 9
        await store.close()
    finally:
        sentinel.close()


async def test_a_cluster_that_is_not_there_yet(tmp_path: Path) -> None:
    """What redis-py raises then is no RedisError; the lanes must go on trying."""
    port = free_port()
    store = new_store(f"redis+cluster://127.0.0.1:{port}", "50ms")
    await asyncio.sleep(0.6)
    assert store.away
    assert not any(task.done() for task in store._tasks), "nobody has given up"
    await store.close()


async def test_the_last_sentinel_is_asked_when_the_others_hang(
    redis: RedisServer, tmp_path: Path
) -> None:
    sentinel = Sentinel(tmp_path, redis)
    hung = socket.create_server(("127.0.0.1", 0))  # the kernel accepts, and nobody answers
    port = hung.getsockname()[1]
    try:
        url = f"redis+sentinel://127.0.0.1:{port},127.0.0.1:{sentinel.port}/primary"
        store = new_store(url, "50ms")
        await until(lambda: store._dispatchers[0].link is not None)
        await store.close()
    finally:
        hung.close()
        sentinel.close()
