"""The servers that other tests stand on: they start, they fail as told, they come back."""

import subprocess
import time
from typing import Any

from tests.servers.postgres import PostgresServer, binary
from tests.servers.redis import RedisServer


def ask_redis(server: RedisServer, *command: str, timeout: float = 5.0) -> str:
    at = ["redis-cli", "-p", str(server.port), *command]
    return subprocess.run(at, capture_output=True, text=True, timeout=timeout).stdout.strip()


def test_redis_comes_back_to_its_port_without_its_data(redis_server: Any) -> None:
    server = redis_server()
    assert ask_redis(server, "SET", "a", "1") == "OK"
    server.kill()
    assert "refused" in subprocess.getoutput(f"redis-cli -p {server.port} PING")
    server.start()
    assert ask_redis(server, "GET", "a") == ""


def test_a_frozen_redis_answers_after_the_thaw(redis_server: Any) -> None:
    server = redis_server()
    server.freeze()
    try:
        waiting = subprocess.Popen(
            ["redis-cli", "-p", str(server.port), "PING"], stdout=subprocess.PIPE, text=True
        )
        time.sleep(0.2)
        assert waiting.poll() is None
    finally:
        server.thaw()
    assert waiting.communicate(timeout=5)[0].strip() == "PONG"


def test_postgres_keeps_its_data_over_a_stop(postgres_server: PostgresServer) -> None:
    url = postgres_server.database()

    def ask(statement: str) -> str:
        command = [binary("psql"), url, "-qAt", "-c", statement]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    ask("CREATE TABLE t (n int); INSERT INTO t VALUES (7)")
    postgres_server.stop()
    assert ask("SELECT n FROM t") == ""
    postgres_server.start()
    assert ask("SELECT n FROM t") == "7"
