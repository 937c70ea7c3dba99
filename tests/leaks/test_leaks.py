"""After any amount of traffic, aborted or not, everything is back where it was."""

import random
import time
from typing import Any

from tests.servers.gateway import GatewayProcess
from tests.servers.plans import plan, route, service
from tests.servers.upstream import OK, REQUEST, Do, EchoUpstream

ROUNDS = 3
REQUESTS_A_ROUND = 400
# A fragmented heap moves a little; a leak of 1 KiB a visit would show as 800 KiB over two rounds.
MOST_GROWTH = 500 << 10


def settle(gateway: GatewayProcess, within_s: float = 10.0) -> dict[str, Any]:
    """The live objects once no connection is left."""
    deadline = time.monotonic() + within_s
    while (counts := gateway.ask("counts"))["connections"] and time.monotonic() < deadline:
        time.sleep(0.02)
    return counts


def own_files(gateway: GatewayProcess, echo: EchoUpstream) -> int:
    """Descriptors beside those of connections to the service.

    The two ends do not learn of a close at the same moment: it is read until it stays the same.
    """
    last: list[int] = []
    while len(last) < 5 or len({*last[-5:]}) > 1:
        last.append(gateway.open_files() - echo.open_connections)
        time.sleep(0.02)
    return last[-1]


def visit(gateway: GatewayProcess, chance: random.Random) -> None:
    """One client that behaves in one of the many ways in which clients behave."""
    client = gateway.connect()
    match chance.randrange(9):
        case 0:
            client.get()
            client.get("/2", "Connection: close")
        case 1:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            client.reset()
        case 2:
            client.send(b"GET / HT")
        case 3:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
            client.reset()
        case 4:
            client.send(b"\x00garbage\r\n\r\n")
            client.recv_all()
        case 5:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
            client.recv_all()
        case 6:
            client.send(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
            client.recv_response()
        case 7:
            client.half_close()
        case 8:
            client.get("/%00")
    client.close()


def test_nothing_is_left_behind(gateway_process: Any, echo: Any) -> None:
    running = gateway_process(to=echo, pool={"max_connections": 4})
    chance = random.Random(7)  # fixed: a leak must be found again
    sizes, files, objects = [], [], []
    for _ in range(ROUNDS):
        for _ in range(REQUESTS_A_ROUND):
            visit(running, chance)
        counts = settle(running)
        assert (counts["connections"], counts["exchanges"]) == (0, 0)
        assert counts["faults"] == []
        objects.append(sum(counts["objects"].values()))
        files.append(own_files(running, echo))
        sizes.append(running.resident_bytes())
    assert files[-1] == files[0]
    assert objects[-1] <= objects[0] + 4, "the pool's connections are all that may remain"
    assert sizes[-1] - sizes[0] < MOST_GROWTH, sizes


def test_failing_upstreams_leave_nothing_behind(gateway_process: Any, scripted: Any) -> None:
    deaths = [
        (*REQUEST, Do.RESET),
        (*REQUEST, Do.CLOSE),
        (*REQUEST, b"garbage\r\n\r\n"),
        (*REQUEST, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", Do.CLOSE),
        (Do.CLOSE,),
    ] * 60
    running = gateway_process(to=scripted(*deaths, (*[*REQUEST, OK] * 9,)))
    before = None
    for number in range(len(deaths)):
        with running.connect() as client:
            client.get()
        if number == 20:
            before = settle(running), running.open_files()
    assert before is not None
    after = settle(running)
    assert (after["exchanges"], after["faults"]) == (0, [])
    assert sum(after["objects"].values()) <= sum(before[0]["objects"].values()) + 2
    assert running.open_files() <= before[1] + 1


def test_hedges_leave_nothing_behind(gateway_process: Any, scripted: Any) -> None:
    """Whoever wins, fails or goes away: the losers' connections, objects and counts go."""
    chance = random.Random(11)
    ends = [OK, OK, b"garbage\r\n\r\n", Do.RESET, b"HTTP/1.1 200 OK\r\nContent-Le"]

    def scripts() -> list[Any]:
        return [
            (*REQUEST, chance.choice([0, 0.004, 0.02]), chance.choice(ends)) for _ in range(450)
        ]

    settings: dict[str, Any] = {
        "balance": "least_request",
        "timeouts": {"response": 0.2},
        "breaker": {"failure_ratio": 1.0},
        "retries": {"budget": 1.0, "hedge": {"quantile": 0.0, "delay": 0.002}, "backoff": 0.001},
    }
    addresses = [scripted(*scripts()).address for _ in range(3)]
    running = gateway_process(plan([service(*addresses, **settings)]))
    counts, files = [], []
    for number in range(150):
        client = running.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        if chance.random() < 0.3:
            time.sleep(chance.choice([0, 0.003, 0.01]))
            client.reset()
        else:
            client.recv_response()
        client.close()
        if number in (20, 149):
            counts.append(settle(running))
            files.append(running.open_files())
    first, last = counts
    assert (last["exchanges"], last["faults"]) == (0, [])
    assert last["in_flight"] == 0
    assert last["objects"].get("Hedge", 0) == 0
    assert sum(last["objects"].values()) <= sum(first["objects"].values()) + 6
    assert files[1] <= files[0] + 6, "connections that are kept are all that may remain"


def test_mirrors_leave_nothing_behind(gateway_process: Any, scripted: Any, echo: Any) -> None:
    """Copies whose service fails, and copies whose original never becomes whole."""
    chance = random.Random(13)
    ends = [OK, b"garbage\r\n\r\n", Do.RESET, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"]
    scripts = [(*REQUEST, chance.choice([0, 0.01]), chance.choice(ends)) for _ in range(900)]
    mirror: dict[str, Any] = {
        "service": 1, "share": 0.8, "by": None, "max_requests": 8, "max_body": 50,
        "credentials": False,
    }  # fmt: skip
    shadow = service(
        scripted(*scripts).address, name="mirror", timeouts={"response": 0.2, "idle": 0.2}
    )
    running = gateway_process(plan([service(echo.address), shadow], [route(mirror=mirror)]))
    counts = []
    for number in range(400):
        visit(running, chance)
        if number in (60, 399):
            time.sleep(0.4)
            counts.append(settle(running))
    first, last = counts
    assert (last["exchanges"], last["faults"]) == (0, [])
    assert last["objects"].get("Copy", 0) == last["objects"].get("Sink", 0) == 0
    assert sum(last["objects"].values()) <= sum(first["objects"].values()) + 8


def test_plans_are_freed(gateway_process: Any, echo: Any) -> None:
    """An old Plan lives as long as its last exchange, and no longer."""
    routes = [route(f"/r{number}/{{path...}}") for number in range(500)]
    running = gateway_process(plan([service(echo.address)], routes))
    sizes = []
    for generation in range(2, 42):
        running.ask("install", plan=plan([service(echo.address)], routes, generation=generation))
        with running.connect() as client:
            assert client.get("/r1/x").status == 200
        sizes.append(running.resident_bytes())
    assert sizes[-1] - sizes[10] < 2 << 20, sizes
